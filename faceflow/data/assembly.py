"""From the data config to tables, the AUs to train, label counts and the protocol text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind, check_aus, sort_key
from faceflow.data.label_scales import describe_scales
from faceflow.data.labels import scores_for
from faceflow.data.source_config import SourceConfig
from faceflow.data.sources import UNLABELED, FaceTable, read_source
from faceflow.data.splits import Tables
from faceflow.data.subjects import unify
from faceflow.encoding import OCCURRENCE_MIN, TOLERANCE, encode, occurrence_level, occurs, to_facs
from faceflow.errors import ConfigError, DataError, suggest

log = logging.getLogger(__name__)

POOLED = "all"  # how results name all data sets together
MACHINE_TEST = (
    "the tested faces were labelled by a model, not by people: scores say how far models agree, not how right they are"
)


def read_tables(
    sources: Mapping[str, Mapping[str, Any]], *, levels: int, attributes: Sequence[str] = ()
) -> list[FaceTable]:
    """Read all data sets of a config.

    Args:
        sources: key -> settings, see `SourceConfig`.
        levels: with several, intensities are read where a tool wrote both intensities and occurrences.
        attributes: other label columns to keep, see `FaceTable`.

    Raises:
        ConfigError, DataError: no data set, two with one name, or see `read_source`.
    """
    if not sources:
        raise ConfigError("data.sources: expected at least one data set, got none; choose data=csv or another")
    prefer: Kind = "intensity" if levels > 1 else "occurrence"
    by_key = {
        key: read_source(key, SourceConfig(**settings), prefer=prefer, attributes=attributes)
        for key, settings in sources.items()
    }
    names = [tables[0].name for tables in by_key.values()]
    if POOLED in names:
        raise ConfigError(
            f"data.sources: expected a name other than '{POOLED}', which results use for all data together"
        )
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"data.sources: expected different names, got '{repeated[0]}' twice; set name: for one of them"
        )
    return unify([table for tables in by_key.values() for table in tables])


def choose_aus(names: Sequence[str] | None, tables: Sequence[FaceTable]) -> tuple[str, ...]:
    """AUs of the network: those requested, or all that the training data label.

    Raises:
        ConfigError: an AU that no training data set labels.
    """
    labelled = {au for table in tables for au in table.columns}
    if names is None:
        joined_too = {au for au in labelled if not {f"{au}_L", f"{au}_R"} & labelled}
        sided = {au for au in labelled if au.endswith(("_L", "_R"))}
        return check_aus(sorted(joined_too | sided, key=sort_key), key="aus.names")
    aus = check_aus(names, key="aus.names")
    for au in aus:
        if not any(_may_label(au, table) for table in tables):
            raise ConfigError(
                f"aus.names: expected AUs that the training data label, got {au}; {suggest(au, labelled)}"
            )
    return aus


def check_shared(aus: Sequence[str], tables: Sequence[FaceTable]) -> None:
    """Check that a data set labels at least one AU of a network.

    Raises:
        DataError: no AU in common.
    """
    if not any(_may_label(au, table) for table in tables for au in aus):
        labelled = sorted({au for table in tables for au in table.columns}, key=sort_key)
        raise DataError(
            f"data: expected labels of the checkpoint's AUs ({', '.join(aus)}), got {', '.join(labelled)}; "
            "test on data that share an AU"
        )


def check_levels(tables: Sequence[FaceTable], aus: Sequence[str], *, levels: int) -> float:
    """Check that the labels support ordinal levels; return the occurrence rule in FACS units.

    Raises:
        DataError: several levels for AUs with 0/1 labels, or different occurrence rules.
    """
    rules: dict[str, float] = {}
    for table in tables:
        scales = {au: scale for au, scale in zip(aus, table.scales_for(aus), strict=True) if _may_label(au, table)}
        if levels > 1 and (binary := [au for au, scale in scales.items() if scale.binary]):
            raise DataError(
                f"{table.name}: expected graded intensities for levels={levels}, got only labels 0 and 1 for "
                f"{', '.join(binary)}; leave these AUs out with aus.names, use levels=1, or set score_max=5 for "
                "that data set if they are intensities"
            )
        own: dict[float, list[str]] = {}
        for au, scale in scales.items():
            own.setdefault(round(scale.facs_rule, 6), []).append(au)
        rules |= {f"{table.name} ({', '.join(group)})" if len(own) > 1 else table.name: r for r, group in own.items()}
    if levels > 1 and len(set(rules.values())) > 1:
        raise DataError(
            f"data.sources: expected one occurrence rule for levels={levels}, got "
            f"{', '.join(f'{name} >= {rule:g}' for name, rule in rules.items())} of 5; set the same "
            "occurrence_min for all"
        )
    return next(iter(rules.values()), OCCURRENCE_MIN)


def check_reading(
    tables: Sequence[FaceTable], aus: Sequence[str], points: Sequence[float], occurrence_min: float
) -> None:
    """Warn if the level that stands for occurrence divides the labels differently from their occurrence rule.

    Args:
        tables: whose labels are learned or scored.
        aus: of the network.
        points: its cutpoints.
        occurrence_min: its occurrence rule in FACS units.
    """
    if not points:
        return
    cut = points[occurrence_level(points, occurrence_min)]
    for name in dict.fromkeys(table.name for table in tables):
        wrong = total = 0
        for table in (table for table in tables if table.name == name):
            scores, scales = scores_for(aus, table.columns, table.scores), table.scales_for(aus)
            known = np.isfinite(scores)
            read = to_facs(scores, scales) >= cut - TOLERANCE
            wrong += int((known & (read != occurs(scores, scales))).sum())
            total += int(known.sum())
        if wrong:
            log.warning(
                "cutpoints: expected a cut at the occurrence rule of %s, got %s; the network's occurrence means "
                "intensity >= %g, which differs from the rule on %d of %d labels and lowers F1, AP and AUROC; train "
                "with a cut at the rule",
                *(name, f"[{', '.join(f'{point:g}' for point in points)}]", cut, wrong, total),
            )


def count_labels(
    tables: Sequence[FaceTable], aus: Sequence[str], points: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count positives (A, L) and observed labels (A,) of the training split.

    Raises:
        DataError: an AU without labels, or no positive label at all.
    """
    positives, observed = np.zeros((len(aus), max(1, len(points))), np.int64), np.zeros(len(aus), np.int64)
    for table in tables:
        scores = scores_for(aus, table.columns, table.scores)
        positives += encode(scores, table.scales_for(aus), points).sum(axis=0, dtype=np.int64)
        observed += np.isfinite(scores).sum(axis=0)
    if not_labelled := [au for au, count in zip(aus, observed, strict=True) if count == 0]:
        raise DataError(
            f"training labels: expected some for every AU, got none for {', '.join(not_labelled)} (all missing); "
            f"leave it out with aus.names=[...]"
        )
    if not positives.any():
        rules = "; ".join(f"{table.name}: {describe_scales(table.columns, table.scales)}" for table in tables)
        raise DataError(
            f"training labels: expected positive labels, got none ({rules}); lower occurrence_min, or set "
            "score_max=1 and occurrence_min=1 for 0/1 labels"
        )
    for au, count in zip(aus, positives[:, 0], strict=True):
        if count == 0:
            log.warning("%s never occurs in the training split; the network cannot learn it", au)
    return positives, observed


def describe_protocol(splits: Tables, *, rule: str) -> dict[str, str]:
    """Describe how the data were split and what the labels mean; printed beside every number."""
    described = {"split": rule}
    for split, tables in splits.items():
        described[split] = ", ".join(
            f"{table.name} ({len(table)} images, {len(np.unique(table.subjects))} "
            f"{'subjects' if table.has_subjects else 'files without subject'})"
            for table in tables
        )
    labelled = [table for split, tables in splits.items() if split != UNLABELED for table in tables]
    scales = {table.name: describe_scales(table.columns, table.scales) for table in labelled}
    described["labels"] = "; ".join(f"{name}: {scale}" for name, scale in scales.items())
    return described | _describe_labellers(splits)


def _describe_labellers(splits: Tables) -> dict[str, str]:
    """Describe which labels a model made, and what that means for a test."""
    by_model = [
        f"{split} labels of {table.name} by {' and '.join(table.labelled_by)}"
        for split, tables in splits.items()
        for table in tables
        if table.labelled_by and split != UNLABELED
    ]
    if not by_model:
        return {}
    described = {"labels by a model": "; ".join(by_model)}
    if any(table.labelled_by for table in splits.get("test", ())):
        described["caution: machine labels"] = MACHINE_TEST
        log.warning("test: %s", MACHINE_TEST)
    return described


def _may_label(au: str, table: FaceTable) -> bool:
    return bool(np.isfinite(scores_for([au], table.columns, np.zeros((1, len(table.columns))))).any())
