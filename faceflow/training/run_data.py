"""The faces and labels of one run: chosen, counted and shown."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from faceflow.console import print_lines, print_tables
from faceflow.data.assembly import check_levels, check_reading, choose_aus, count_labels, describe_protocol
from faceflow.data.features import read_features
from faceflow.data.groups import Groups, number_groups
from faceflow.data.protocols.protocol import LEGACY, Fold
from faceflow.data.sources import SPLITS
from faceflow.data.splits import SplitConfig, Tables
from faceflow.data.streams import training_streams
from faceflow.encoding import cutpoints
from faceflow.evaluation.data_summary import DATA, summarize
from faceflow.evaluation.known_faces import remember, seen_subjects
from faceflow.evaluation.record import fingerprints
from faceflow.losses.elementwise import LabelCounts
from faceflow.models.checkpoint import Faces
from faceflow.report.tables import data_tables
from faceflow.training.preview import preview_faces
from faceflow.training.rank import is_rank_zero

_FITTED = 20_000  # faces used to standardise features


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which faces and labels a training uses.

    Attributes:
        aus: AUs to learn; None for all that the training data label.
        levels, cutpoints: of the labels, see `faceflow.encoding`.
        split: shares of the subjects.
        views: view that the method reads -> view that is computed for it, see `computed_views`.
        unlabeled: sets of unlabelled faces by name, see `faceflow.data.unlabeled`.
        include_labeled: whether labelled training faces join the unlabelled ones.
    """

    aus: Sequence[str] | None
    levels: int
    cutpoints: Sequence[float] | None
    split: SplitConfig
    views: Mapping[str, str]
    unlabeled: Mapping[str, Mapping[str, Any]]
    include_labeled: bool


@dataclass(frozen=True, kw_only=True)
class Look:
    """Show the data instead of training: a report, and a picture of `faces` faces, 0 for none."""

    faces: int


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What a run trains, validates and tests on.

    Attributes:
        streams: splits, and the unlabelled pool if a view reads it.
        views: view that the method reads -> view that is computed for it.
        aus: of the network, in its order.
        points: cut points of the levels, see `faceflow.encoding`.
        occurrence_min: rule of occurrence in FACS units.
        protocol: how the data were split and what labels mean, beside every number.
        legacy: whether the epoch is chosen on the test faces, at threshold 0.5.
    """

    streams: Tables
    views: Mapping[str, str]
    aus: tuple[str, ...]
    points: tuple[float, ...]
    occurrence_min: float
    protocol: Mapping[str, str]
    legacy: bool

    @functools.cached_property
    def fingerprints(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Rows and fingerprint of every data set in every stream."""
        return fingerprints(self.streams)

    @functools.cached_property
    def groups(self) -> Groups:
        """Domains and subjects of the training faces."""
        return number_groups(self.streams)

    @functools.cached_property
    def faces(self) -> Faces:
        """Hashes of the training and validation faces."""
        return remember(self.streams, self.aus)

    @functools.cached_property
    def seen(self) -> list[str]:
        """Identities of the training and validation subjects."""
        return seen_subjects(self.streams)

    def features(self) -> Tensor:
        """Features (N, F) of at most `_FITTED` training faces, a regular sample of all.

        Raises:
            DataError: a face of any stream has none.
        """
        stores = {}
        for stream, tables in self.streams.items():
            files = [str(file) for table in tables for file in table.files]
            stores[stream] = read_features(files, key=", ".join(dict.fromkeys(table.name for table in tables)))
        train = stores["train"]
        rows = np.unique(np.linspace(0, len(train) - 1, min(_FITTED, len(train))).astype(int)).tolist()
        return torch.from_numpy(np.stack([train[row] for row in rows]))

    def tables(self) -> list[Table]:
        """Tables of the data report."""
        return data_tables(summarize(self.streams, self.aus), self.aus)

    def count(self) -> LabelCounts:
        """Count labels, domains and subjects of the training faces; warn of labels that are probably misread.

        Raises:
            DataError: an AU has no labels, or there is no positive label at all.
        """
        labelled = [table for split in SPLITS for table in self.streams[split]]
        check_reading(labelled, self.aus, self.points, self.occurrence_min)
        positives, observed = map(torch.from_numpy, count_labels(self.streams["train"], self.aus, self.points))
        return LabelCounts(
            positives,
            observed,
            domains=self.groups.domains,
            subjects=self.groups.subjects,
            origins=self.groups.origins,
        )


def choose_data(fold: Fold, settings: DataSettings) -> RunData:
    """Choose the AUs of a fold and open its training streams.

    Raises:
        ConfigError, DataError: see `choose_aus`, `check_levels` and `training_streams`.
    """
    aus = choose_aus(settings.aus, fold.splits["train"])
    tables = [table for tables in fold.splits.values() for table in tables]
    occurrence_min = check_levels(tables, aus, levels=settings.levels)
    streams = training_streams(
        fold.splits,
        settings.split,
        views=settings.views,
        sets=settings.unlabeled,
        include_labeled=settings.include_labeled,
        prefer="intensity" if settings.levels > 1 else "occurrence",
    )
    return RunData(
        streams=streams,
        views=settings.views,
        aus=aus,
        points=cutpoints(settings.levels, settings.cutpoints, occurrence_min),
        occurrence_min=occurrence_min,
        protocol=({"legacy": LEGACY} if fold.legacy else {}) | describe_protocol(streams, rule=fold.rule),
        legacy=fold.legacy,
    )


def show_data(data: RunData, transforms: Mapping[str, Any], *, folder: Path, look: Look | None) -> None:
    """Print the data report; for a look, also write it, and draw the effect of the transforms on some training faces.

    Args:
        data: of a run.
        transforms: view -> steps of its pipeline.
        folder: where files go.
        look: what to show instead of training; None if training follows.
    """
    if not is_rank_zero():
        return
    print_tables(*data.tables(), saved_to=folder / DATA if look else None)
    if look and look.faces:
        picture = preview_faces(data.streams["train"], transforms, faces=look.faces, folder=folder)
        print_lines(f"Picture: {picture}")
