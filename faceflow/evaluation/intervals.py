"""Intervals over subjects for the scores of a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_whole
from faceflow.data.sources import FaceTable
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.bootstrap import SubjectBootstrap


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How often the tested subjects are drawn with replacement, 0 for no intervals, and the seed of the draws."""

    resamples: int
    seed: int

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: a value is not a whole number of at least 0.
        """
        check_whole(self.resamples, key="bootstrap.resamples", lowest=0)
        check_whole(self.seed, key="bootstrap.seed", lowest=0)


def with_intervals(
    evaluations: Mapping[str, Evaluation],
    scorer: SplitScorer,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    prediction: Prediction,
    bootstrap: Bootstrap,
) -> dict[str, Evaluation]:
    """Add the bounds of 95 % intervals, `f1_val_low` and so on, to the columns and the summary of every set.

    Only metrics that declare intervals get them, see `metrics.metric`.

    Args:
        evaluations: by name of the set, from `scorer.score`.
        scorer: of the tables.
        tables: all rows.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A).
        bootstrap: of the subjects; without resamples nothing is added.
    """
    if not bootstrap.resamples:
        return dict(evaluations)
    subjects = np.concatenate([table.subjects for table in tables])
    found = {}
    for scored in scorer.sets:
        evaluation, truth = evaluations[scored.name], scored.truth
        merged, seen = scorer.merged(scored, rows, prediction)
        draws = SubjectBootstrap(subjects[scored.rows], resamples=bootstrap.resamples, seed=bootstrap.seed)
        estimates = draws.all_intervals(
            merged,
            occurrence=truth.occurrence,
            intensity=truth.intensity,
            observed=truth.observed & seen,
            thresholds=evaluation.columns["threshold_val"],
        )
        columns, summary = dict(evaluation.columns), dict(evaluation.summary)
        for name, estimate in estimates.items():
            for bound in ("low", "high"):
                columns[f"{name}_{bound}"] = getattr(estimate.per_au, bound)
                summary[f"{name}_{bound}"] = float(getattr(estimate.mean, bound))
        found[scored.name] = dataclasses.replace(evaluation, columns=columns, summary=summary)
    return found
