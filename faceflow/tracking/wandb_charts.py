"""Tables and plots of W&B."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.tracking.tracker import AUCurve, Samples

_POINTS = 100  # of a curve; a W&B table shows 10,000 rows
_TINY = 1e-7


def samples_table(samples: Samples, epoch: int) -> Any:
    """One row per face, the worst first: its loss, and per AU the probability beside the label."""
    import wandb

    loss = cross_entropy(samples)
    picture = [] if samples.pictures is None else ["picture"]
    columns: list[Any] = ["epoch", "face", *picture, "loss"]
    columns += [f"{au} {what}" for au in samples.aus for what in ("probability", "label")]
    table = wandb.Table(columns=columns)
    for row in np.argsort(-np.nan_to_num(loss, nan=-1.0), kind="stable"):
        cells: list[Any] = [epoch, samples.faces[row]]
        if samples.pictures is not None:
            cells.append(wandb.Image(samples.pictures[row]))
        cells.append(_rounded(loss[row]))
        for column in range(len(samples.aus)):
            seen = samples.observed[row, column]
            label = int(samples.occurrence[row, column]) if seen else None
            cells += [_rounded(samples.probability[row, column]), label]
        table.add_data(*cells)
    return table


def cross_entropy(samples: Samples) -> NDArray[np.float64]:
    """Mean cross-entropy of each face over its known labels, (N,); NaN if none is known."""
    p = samples.probability.clip(_TINY, 1 - _TINY)
    entropy = -np.log(np.where(samples.occurrence, p, 1 - p))
    known = samples.observed.sum(axis=1)
    total = np.where(samples.observed, entropy, 0.0).sum(axis=1)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def charts(curves: Sequence[AUCurve]) -> dict[str, Any]:
    """Plots by key: one of all precision-recall curves, and confusion matrices per AU."""
    found: dict[str, Any] = {"test/precision_recall": _precision_recall(curves), "test/prevalence": _prevalence(curves)}
    for curve in curves:
        if curve.confusion is not None:
            found[f"test/confusion/{curve.au}"] = _matrix(curve.confusion, ("absent", "present"), curve.au)
        if curve.grades is not None:
            names = [str(grade) for grade in range(len(curve.grades))]
            found[f"test/intensity_confusion/{curve.au}"] = _matrix(curve.grades, names, f"{curve.au} intensity")
    return found


def _precision_recall(curves: Sequence[AUCurve]) -> Any:
    import wandb

    table = wandb.Table(columns=["class", "recall", "precision"])
    for curve in curves:
        for point in np.unique(np.linspace(0, max(0, len(curve.recall) - 1), _POINTS).astype(int)):
            if len(curve.recall):
                table.add_data(curve.au, _rounded(curve.recall[point]), _rounded(curve.precision[point]))
    return wandb.plot_table(
        "wandb/area-under-curve/v0",
        table,
        {"x": "recall", "y": "precision", "class": "class"},
        {"title": "Precision-recall curves", "x-axis-title": "Recall", "y-axis-title": "Precision"},
    )


def _prevalence(curves: Sequence[AUCurve]) -> Any:
    """Prevalence of each AU: the precision of random guessing, to compare the curves with."""
    import wandb

    rows: Any = [[curve.au, _rounded(curve.prevalence)] for curve in curves]
    table = wandb.Table(columns=["AU", "prevalence"], data=rows)
    return wandb.plot_table(
        "wandb/bar/v0",
        table,
        {"label": "AU", "value": "prevalence"},
        {"title": "Prevalence: precision of random guessing"},
    )


def _matrix(counts: NDArray[np.int64], names: Sequence[str], title: str) -> Any:
    import wandb

    cells: Any = [
        [actual, predicted, int(counts[row, column])]
        for row, actual in enumerate(names)
        for column, predicted in enumerate(names)
    ]
    fields = {name: name for name in ("Actual", "Predicted", "nPredictions")}
    return wandb.plot_table(
        "wandb/confusion_matrix/v1", wandb.Table(columns=list(fields), data=cells), fields, {"title": title}
    )


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
