"""Intervals over persons beside the scores of a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_whole
from faceflow.data.sources import FaceTable
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.bootstrap import PersonBootstrap
from faceflow.metrics.evaluation import DEFAULT_THRESHOLD, Evaluation, Prediction


def check_bootstrap(settings: Mapping[str, Any]) -> None:
    """Check the `bootstrap` part of a config.

    Raises:
        ConfigError: no whole numbers of at least 0.
    """
    for key in ("resamples", "seed"):
        check_whole(settings[key], key=f"bootstrap.{key}", lowest=0)


def with_intervals(
    evaluations: Mapping[str, Evaluation],
    scorer: SplitScorer,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    prediction: Prediction,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Evaluation]:
    """Add the bounds of 95 % intervals, `f1_val_low` and so on, to the columns and the summary of every set.

    Args:
        evaluations: by name of the set, from `scorer.score`.
        scorer: of the tables.
        tables: all rows.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A).
        resamples: of the persons; 0 adds nothing.
        seed: of the draws.
    """
    if not resamples:
        return dict(evaluations)
    persons = np.concatenate([table.persons for table in tables])
    found = {}
    for scored in scorer.sets:
        evaluation, truth = evaluations[scored.name], scored.truth
        merged, seen = scorer.merged(scored, rows, prediction)
        observed = truth.observed & seen
        cuts = evaluation.columns["threshold_val"]
        bootstrap = PersonBootstrap(persons[scored.rows], resamples=resamples, seed=seed)
        estimates = {
            "f1_val": bootstrap.f1(merged.probability >= cuts, truth.occurrence, observed & np.isfinite(cuts)),
            "f1_0.5": bootstrap.f1(merged.probability >= DEFAULT_THRESHOLD, truth.occurrence, observed),
        }
        if "icc" in evaluation.columns and merged.intensity is not None:
            graded = observed & np.isfinite(truth.intensity)
            estimates["icc"] = bootstrap.icc(merged.intensity, truth.intensity, graded)
        columns, summary = dict(evaluation.columns), dict(evaluation.summary)
        for name, estimate in estimates.items():
            for bound in ("low", "high"):
                columns[f"{name}_{bound}"] = getattr(estimate.per_au, bound)
                summary[f"{name}_{bound}"] = float(getattr(estimate.mean, bound))
        found[scored.name] = dataclasses.replace(evaluation, columns=columns, summary=summary)
    return found
