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
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.bootstrap import PersonBootstrap


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

    The metrics that declare intervals have them, see `metrics.metric`.

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
        estimates = PersonBootstrap(persons[scored.rows], resamples=resamples, seed=seed).all_intervals(
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
