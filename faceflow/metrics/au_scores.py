"""All metrics of one set of predictions: one column per metric, one row per AU, and the means over AUs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import FACS_MAX, Array, expected_intensity, occurrence_probability
from faceflow.metrics.intensity import intensity_metrics
from faceflow.metrics.metric import AT_HALF, AT_VAL, Needs, metrics_of
from faceflow.metrics.metric import columns as declared_columns
from faceflow.metrics.occurrence import decision_metrics, macro, micro_f1, occurrence_metrics
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD, bagged_thresholds

_RESAMPLES = 50


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Decoded outputs: probability of occurrence (N, A), and FACS intensity (N, A) of ordinal networks.

    `levels` are the probabilities (N, A, L) that they were decoded from, if available.
    """

    probability: Array
    intensity: Array | None
    levels: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Metrics of one data set.

    `columns` hold one value per AU: counts, then every declared metric (see `metrics.metric`): `f1_val` at the
    threshold tuned on validation, `f1_0.5` at threshold 0.5, ranking metrics, intensity metrics. `summary` holds their
    means over the AUs on which they are defined; `valid_aus` is the number of these AUs for AUROC, `valid_aus_icc` for
    ICC.
    """

    aus: tuple[str, ...]
    rows: int
    columns: Mapping[str, NDArray[Any]]
    summary: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, None if undefined."""
        per_au = {
            au: {name: _plain(values[index]) for name, values in self.columns.items()}
            for index, au in enumerate(self.aus)
        }
        return {"rows": self.rows, "summary": {k: _plain(v) for k, v in self.summary.items()}, "per_au": per_au}


def decode(probabilities: Array, points: Sequence[float], occurrence_min: float) -> Prediction:
    """Turn level probabilities (N, A, L) into occurrence probabilities and, with several levels, intensities."""
    return Prediction(
        probability=occurrence_probability(probabilities, points, occurrence_min),
        intensity=expected_intensity(probabilities, points).clip(0, FACS_MAX) if points else None,
        levels=probabilities if points else None,
    )


def merge_sides(prediction: Prediction, outputs: Sequence[str], groups: Mapping[str, Sequence[int]]) -> Prediction:
    """Reduce outputs (N, A) to the AUs that are scored, (N, A'); sides are joined by the larger value, as in labels.

    Args:
        prediction: prediction of every output.
        outputs: the A AUs of the network.
        groups: scored AU -> the output columns that it joins.
    """
    shape = prediction.probability.shape
    assert shape[1] == len(outputs), f"{shape} does not match {len(outputs)} outputs"

    def largest(values: Array) -> Array:
        return np.stack([values[:, list(columns)].max(axis=1) for columns in groups.values()], axis=1)

    intensity, levels = prediction.intensity, prediction.levels
    return Prediction(
        probability=largest(prediction.probability),
        intensity=None if intensity is None else largest(intensity),
        levels=None if levels is None else largest(levels),
    )


def evaluate(
    prediction: Prediction,
    *,
    aus: Sequence[str],
    occurrence: NDArray[np.bool_],
    intensity: Array,
    observed: NDArray[np.bool_],
    thresholds: Array,
) -> Evaluation:
    """Score predictions on a whole set.

    Args:
        prediction: probabilities (N, A), and intensities for ordinal networks.
        aus: A names.
        occurrence: labels, (N, A).
        observed: which labels exist, (N, A).
        intensity: labels in FACS units, (N, A), NaN where unknown.
        thresholds: thresholds tuned on validation, (A,), NaN if there is none (its metrics are then NaN).
    """
    tuned = np.isfinite(thresholds)
    cuts = np.where(tuned, thresholds, DEFAULT_THRESHOLD)
    half = occurrence_metrics(prediction.probability, occurrence, observed, DEFAULT_THRESHOLD)
    val = decision_metrics(prediction.probability, occurrence, observed, cuts)
    decisions = [metric.name for metric in metrics_of(Needs.DECISIONS)]
    columns: dict[str, NDArray[Any]] = {
        "positives": half["positives"],
        "observed": half["observed"],
        "threshold_val": thresholds,
        **{f"{name}_{AT_VAL}": np.where(tuned, val[name], np.nan) for name in decisions},
        **{f"{name}_{AT_HALF}": half[name] for name in decisions},
        **{metric.name: half[metric.name] for metric in metrics_of(Needs.RANKING)},
    }
    graded = observed & np.isfinite(intensity)
    if prediction.intensity is not None and graded.any():
        scores = intensity_metrics(prediction.intensity, np.where(graded, intensity, 0.0), graded)
        columns |= {metric.name: scores[metric.name] for metric in metrics_of(Needs.INTENSITY)}
    averaged = {column.name for column in declared_columns() if column.metric.averaged}
    summary = {name: macro(values) for name, values in columns.items() if name in averaged}
    summary["micro_f1_val"] = micro_f1(prediction.probability, occurrence, observed, cuts)
    summary["valid_aus"] = float(np.isfinite(half["auroc"]).sum())
    if "icc" in columns:
        summary["valid_aus_icc"] = float(np.isfinite(columns["icc"]).sum())
    return Evaluation(aus=tuple(aus), rows=len(observed), columns=columns, summary=summary)


def tuned_thresholds(prediction: Prediction, occurrence: NDArray[np.bool_], observed: NDArray[np.bool_]) -> Array:
    """Bagged thresholds (A,) of the best F1 per AU; NaN if an AU has only one class."""
    return bagged_thresholds(prediction.probability, occurrence, observed, resamples=_RESAMPLES, seed=0)


def _plain(value: Any) -> float | int | None:
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
