"""Intervals over persons beside the scores of a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_number
from faceflow.data.sources import FaceTable
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.bootstrap import PersonBootstrap
from faceflow.metrics.evaluation import DEFAULT_THRESHOLD, Evaluation, Prediction


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How often the tested persons are drawn with replacement, 0 for no intervals, and the seed of the draws."""

    resamples: int
    seed: int

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: no whole numbers of at least 0.
        """
        for key, value in (("resamples", self.resamples), ("seed", self.seed)):
            expected = "a whole number >= 0"
            check_number(value, key=f"bootstrap.{key}", expected=expected, valid=lambda x: x >= 0, whole=True)


def with_intervals(
    evaluations: Mapping[str, Evaluation],
    scorer: SplitScorer,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    prediction: Prediction,
    bootstrap: Bootstrap,
) -> dict[str, Evaluation]:
    """Add the bounds of 95 % intervals, `f1_val_low` and so on, to the columns and the summary of every set.

    Args:
        evaluations: by name of the set, from `scorer.score`.
        scorer: of the tables.
        tables: all rows.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A).
        bootstrap: of the persons; without resamples nothing is added.
    """
    if not bootstrap.resamples:
        return dict(evaluations)
    persons = np.concatenate([table.persons for table in tables])
    found = {}
    for scored in scorer.sets:
        evaluation, truth = evaluations[scored.name], scored.truth
        merged, seen = scorer.merged(scored, rows, prediction)
        observed = truth.observed & seen
        cuts = evaluation.columns["threshold_val"]
        draws = PersonBootstrap(persons[scored.rows], resamples=bootstrap.resamples, seed=bootstrap.seed)
        estimates = {
            "f1_val": draws.f1(merged.probability >= cuts, truth.occurrence, observed & np.isfinite(cuts)),
            "f1_0.5": draws.f1(merged.probability >= DEFAULT_THRESHOLD, truth.occurrence, observed),
        }
        if "icc" in evaluation.columns and merged.intensity is not None:
            graded = observed & np.isfinite(truth.intensity)
            estimates["icc"] = draws.icc(merged.intensity, truth.intensity, graded)
        columns, summary = dict(evaluation.columns), dict(evaluation.summary)
        for name, estimate in estimates.items():
            for bound in ("low", "high"):
                columns[f"{name}_{bound}"] = getattr(estimate.per_au, bound)
                summary[f"{name}_{bound}"] = float(getattr(estimate.mean, bound))
        found[scored.name] = dataclasses.replace(evaluation, columns=columns, summary=summary)
    return found
