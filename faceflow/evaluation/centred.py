"""Scores of a test centred by subject, beside the raw scores of the network; see `faceflow.centring`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.centring import LEAST_FRAMES, Centring, Rest, usual_rest
from faceflow.checks import check_choice
from faceflow.data.sources import FaceTable
from faceflow.errors import DataError
from faceflow.evaluation.intervals import Bootstrap, with_intervals
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.metric import header_of
from faceflow.metrics.paired import paired_means

log = logging.getLogger(__name__)

SUBJECT = "subject"
CENTRED = "centred"  # name of rows, columns and entries
OVER_FOLDS = "the median over each subject's test images was subtracted from its scores; no labels used"
_SHOWN = ("f1_val", "ap", "icc")  # in the line below a table


@dataclass(frozen=True, kw_only=True)
class CentredTest:
    """How scores of a test are centred; `protocol` says so beside every number.

    `centring` is None if the checkpoint has none: the constants then come from the tested faces, and there are no
    thresholds.
    """

    centring: Centring | None
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """A mean over AUs of raw and of centred scores, and the 95 % interval over subjects of its change, if any."""

    raw: float
    centred: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        interval = f" ({self.low:+.3f} to {self.high:+.3f})" if np.isfinite(self.low) else ""
        return f"{self.centred - self.raw:+.3f}{interval}"

    def to_dict(self) -> dict[str, float]:
        """Plain values for files."""
        return {"raw": self.raw, CENTRED: self.centred, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class CentredScores:
    """Centred scores by data set, decoded predictions of all rows, and changes by data set and metric."""

    evaluations: Mapping[str, Evaluation]
    prediction: Prediction
    changes: Mapping[str, Mapping[str, Change]]

    def line(self, name: str) -> str:
        """What centring changed on a data set."""
        changes = self.changes[name]
        shown = [f"{header_of(metric)} {changes[metric]}" for metric in _SHOWN if metric in changes]
        return f"centred - raw, with 95 % intervals over subjects: {', '.join(shown)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        return {
            "test": {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()},
            "change": {
                name: {metric: change.to_dict() for metric, change in changes.items()}
                for name, changes in self.changes.items()
            },
        }


def check_center(center: str | None, tables: Sequence[FaceTable]) -> None:
    """Check that scores can be centred, if that is requested.

    Args:
        center: subject, or None.
        tables: tested faces.

    Raises:
        ConfigError: `center` has another value.
        DataError: some faces have no subject, or no subject has enough faces.
    """
    check_choice(center, key="center", options=(None, SUBJECT))
    if center is None or not tables:
        return
    if unnamed := [table.name for table in tables if not table.has_subjects]:
        raise DataError(
            f"center: expected labels with a column subject, got none for {unnamed[0]}, so its scores cannot be "
            "centred; add the column, or leave center out"
        )
    if (most := _counts(tables).max()) < LEAST_FRAMES:
        raise DataError(
            f"center: expected a subject with at least {LEAST_FRAMES} images to take a median over, got at most "
            f"{most}; test more images per subject, or leave center out"
        )


def centred_test(center: str | None, centring: Centring | None, tables: Sequence[FaceTable]) -> CentredTest | None:
    """Decide how scores are centred; None if they are not. Arguments and errors are those of `check_center`.

    `centring` is that of the checkpoint, None if it has none.
    """
    check_center(center, tables)
    if center is None:
        return None
    counts = _counts(tables)
    enough, few = counts[counts >= LEAST_FRAMES], counts[counts < LEAST_FRAMES]
    said = f"the median over each subject's {_span(enough)} test images was subtracted from its scores; no labels used"
    if len(few):
        kept = f"{len(few)} of {len(counts)} subjects have fewer than {LEAST_FRAMES} images and keep their scores"
        log.warning("center: %s", kept)
        said += f"; {kept}"
    if centring is None:
        log.warning(
            "center: the model has no thresholds for centred scores: it comes from an earlier version, or no "
            "validation subject had %d images; AP and AUROC of centred scores are reported, F1@val is not",
            LEAST_FRAMES,
        )
        said += "; the model has no thresholds for centred scores, so they have no F1@val, and the constants come from "
        said += "the tested subjects"
    else:
        said += "; thresholds tuned on centred validation scores"
    return CentredTest(centring=centring, protocol=said)


def score_centred(
    test: CentredTest,
    scorer: SplitScorer,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    outputs: Prediction,
    evaluations: Mapping[str, Evaluation],
    bootstrap: Bootstrap | None,
) -> CentredScores:
    """Score the outputs of a network again, centred by subject.

    Args:
        test: from `centred_test`.
        scorer: of the tables.
        tables: all rows.
        rows: row numbers that were predicted, (M,).
        outputs: raw outputs of the network for these rows.
        evaluations: of the raw outputs.
        bootstrap: of the subjects; None for no intervals.
    """
    usual: Rest | None
    if test.centring is None:
        usual, thresholds = usual_rest(outputs, scorer.subjects[rows]), {}
    else:
        usual, thresholds = test.centring.usual(scorer.spec.aus), dict(test.centring.thresholds)
    assert usual is not None, "see centred_test"
    centred = scorer.centre(rows, outputs, usual)
    found = scorer.score(rows, centred, thresholds)
    if bootstrap is not None:
        found = with_intervals(found, scorer, tables, rows, centred, bootstrap)
    subjects, changes = np.concatenate([table.subjects for table in tables]), {}
    for scored in scorer.sets:
        raw, after, truth = evaluations[scored.name], found[scored.name], scored.truth
        (before, seen), (shifted, _) = (scorer.merged(scored, rows, each) for each in (outputs, centred))
        draws = SubjectBootstrap(
            subjects[scored.rows],
            resamples=0 if bootstrap is None else bootstrap.resamples,
            seed=0 if bootstrap is None else bootstrap.seed,
        )
        estimates = draws.all_differences(
            (before, raw.columns["threshold_val"]),
            (shifted, after.columns["threshold_val"]),
            occurrence=truth.occurrence,
            intensity=truth.intensity,
            observed=truth.observed & seen,
        )
        bounds = {
            name: {"low": float(estimate.mean.low), "high": float(estimate.mean.high)}
            for name, estimate in estimates.items()
        }
        changes[scored.name] = {
            name: Change(raw=pair.first, centred=pair.second, **bounds.get(name, {}))
            for name, pair in paired_means(raw, after).items()
            if pair.aus
        }
    return CentredScores(evaluations=found, prediction=scorer.merged(scorer.pooled, rows, centred)[0], changes=changes)


def _counts(tables: Sequence[FaceTable]) -> NDArray[np.intp]:
    """Number of images of each subject."""
    return np.concatenate([np.unique(table.subjects, return_counts=True)[1] for table in tables])


def _span(counts: NDArray[np.intp]) -> str:
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
