"""AU intensity metrics over a whole epoch, per AU.

They replace those of torchmetrics for the reasons given in `occurrence`: speed, missing labels, and AUs that no face
shows; torchmetrics has no ICC.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from faceflow.metrics.metric import Needs, Place, intensity_metric, metrics_of

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_SEVERAL = "several intensities"
_TINY = 1e-12  # variance of a constant, up to rounding


@dataclass(frozen=True)
class IntensityRows:
    """Checked intensities, transposed to (A, N): one contiguous row per AU, which numpy sums pairwise.

    Missing entries are 0 in both arrays and in derived values, so they add nothing to any sum.
    """

    predicted: FloatArray
    truth: FloatArray
    seen: BoolArray
    """Which labels exist."""

    @classmethod
    def check(cls, prediction: Array, truth: Array, observed: Array) -> Self:
        """Assert that (N, A) arrays are consistent; only observed entries are checked."""
        assert prediction.ndim == 2, f"prediction must be (N, A), got {prediction.shape}"
        assert prediction.shape == truth.shape == observed.shape, (
            "prediction, truth and observed must have one shape, got "
            f"{prediction.shape}, {truth.shape}, {observed.shape}"
        )
        assert observed.dtype == np.bool_, f"observed must be bool, got {observed.dtype}"
        assert np.all(np.isfinite(prediction) | ~observed), "an observed prediction is not finite"
        assert np.all(np.isfinite(truth) | ~observed), "an observed truth is not finite"
        seen = np.ascontiguousarray(observed.T)
        predicted, true = (np.where(seen, values.T.astype(np.float64), 0.0) for values in (prediction, truth))
        return cls(predicted=predicted, truth=true, seen=seen)

    @cached_property
    def count(self) -> npt.NDArray[np.intp]:
        """Number of observed frames, (A,)."""
        return np.asarray(np.count_nonzero(self.seen, axis=1))

    @cached_property
    def error(self) -> FloatArray:
        """|prediction - truth|, (A, N)."""
        return np.abs(self.predicted - self.truth)

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean (A,) of values (A, N) that are 0 where unobserved; NaN without an observed frame."""
        return ratio(np.sum(values, axis=1), self.count)

    @cached_property
    def covariance(self) -> FloatArray:
        """Sum of products of the centred values, (A,)."""
        return np.asarray(np.sum(self._centred[0] * self._centred[1], axis=1))

    @cached_property
    def variances(self) -> tuple[FloatArray, FloatArray]:
        """Sums of squares of the centred predictions and truths, (A,)."""
        predicted, truth = (np.asarray(np.sum(values**2, axis=1)) for values in self._centred)
        return predicted, truth

    @cached_property
    def _centred(self) -> tuple[FloatArray, FloatArray]:
        return _centre(self.predicted, self.seen), _centre(self.truth, self.seen)


@dataclass(frozen=True)
class Moments:
    """Sums over frames, (..., A): their number, and powers and product of prediction p and truth t."""

    n: FloatArray
    p: FloatArray
    t: FloatArray
    pp: FloatArray
    tt: FloatArray
    pt: FloatArray


def _icc_of_moments(sums: Moments) -> FloatArray:
    """ICC of values whose mean is about 0, so that the sums of squares do not cancel."""
    count = np.maximum(sums.n, 1)
    predicted, labelled = sums.pp - sums.p * sums.p / count, sums.tt - sums.t * sums.t / count
    covariance = sums.pt - sums.p * sums.t / count
    return np.clip(ratio(2 * covariance, np.where(labelled > _TINY * count, predicted + labelled, 0)), -1.0, 1.0)


@intensity_metric(
    "ICC",
    shown=Place.INTENSITY_TABLE | Place.HEADLINE | Place.FOLDS | Place.CURVES | Place.EXPORT,
    of_moments=_icc_of_moments,
    defined_on=_SEVERAL,
)
def icc(rows: IntensityRows) -> FloatArray:
    """ICC(3,1) of the raters prediction and truth (Shrout and Fleiss 1979): for two raters 2 cov / (var + var).

    NaN if the truth does not vary, as for an AU that no face shows: predictions cannot be ranked, and PCC, F1 and AUROC
    are undefined too. 0 if only the prediction does not vary: it agrees with nothing and must not be left out of the
    mean over AUs.
    """
    predicted, truth = rows.variances
    return np.clip(np.where(truth > 0, ratio(2 * rows.covariance, predicted + truth), np.nan), -1.0, 1.0)


@intensity_metric("PCC", shown=Place.INTENSITY_TABLE, defined_on=_SEVERAL)
def pcc(rows: IntensityRows) -> FloatArray:
    """Pearson correlation; NaN if either does not vary."""
    predicted, truth = rows.variances
    return np.clip(ratio(rows.covariance, np.sqrt(predicted) * np.sqrt(truth)), -1.0, 1.0)


@intensity_metric("MSE", lower_is_better=True, shown=Place.INTENSITY_TABLE)
def mse(rows: IntensityRows) -> FloatArray:
    """Mean squared error over all frames."""
    return rows.mean(rows.error**2)


@intensity_metric("MAE", lower_is_better=True, shown=Place.INTENSITY_TABLE)
def mae(rows: IntensityRows) -> FloatArray:
    """Mean absolute error over all frames."""
    return rows.mean(rows.error)


@intensity_metric("RMSE", lower_is_better=True)
def rmse(rows: IntensityRows) -> FloatArray:
    """Root mean squared error over all frames, never a mean of batch values."""
    return np.sqrt(rows.mean(rows.error**2))


@intensity_metric("SMAPE", lower_is_better=True)
def smape(rows: IntensityRows) -> FloatArray:
    """Mean 2|e| / (|truth| + |prediction|), in [0, 2], with 0 where both are 0.

    Any false activation of a neutral frame counts 2, however small.
    """
    return rows.mean(ratio(2 * rows.error, np.abs(rows.truth) + np.abs(rows.predicted), empty=0.0))


@intensity_metric("WMAPE", lower_is_better=True, defined_on="an intensity above 0")
def wmape(rows: IntensityRows) -> FloatArray:
    """Sum |e| / sum |truth|; NaN if every truth is 0."""
    return ratio(np.sum(rows.error, axis=1), np.sum(np.abs(rows.truth), axis=1))


@intensity_metric("MAPE", lower_is_better=True, defined_on="an intensity above 0")
def mape(rows: IntensityRows) -> FloatArray:
    """Mean |e| / truth over the frames with truth > 0; NaN if there are none."""
    active = rows.truth > 0
    shares = np.divide(rows.error, rows.truth, out=np.zeros_like(rows.truth), where=active)
    return ratio(np.sum(shares, axis=1), np.count_nonzero(active, axis=1))


def intensity_metrics(prediction: Array, truth: Array, observed: Array) -> dict[str, Array]:
    """Score predicted intensities per AU.

    Missing entries have no influence, whatever they hold. An AU without an observed frame gets NaN.

    Args:
        prediction: (N, A) intensities, already clamped to the label range.
        truth: (N, A) intensities, in the same unit.
        observed: (N, A) bool, False where the label is missing.

    Returns:
        (A,) arrays: every declared intensity metric, and `observed`, the number of observed frames.
    """
    rows = IntensityRows.check(prediction, truth, observed)
    return {metric.name: metric.formula(rows) for metric in metrics_of(Needs.INTENSITY)} | {"observed": rows.count}


def _centre(values: FloatArray, seen: BoolArray) -> FloatArray:
    """Subtract the mean over the observed entries of each row; the others stay 0."""
    lowest = np.min(values, axis=1, where=seen, initial=np.inf, keepdims=True)
    highest = np.max(values, axis=1, where=seen, initial=-np.inf, keepdims=True)
    mean = np.sum(values, axis=1, keepdims=True) / np.maximum(np.count_nonzero(seen, axis=1), 1)[:, None]
    # A rounded mean can be outside the range of the values; clipped, it centres a constant row to exactly 0.
    return np.where(seen, values - np.clip(mean, lowest, highest), 0.0)


def ratio(numerator: FloatArray, denominator: Array, empty: float = np.nan) -> FloatArray:
    """Divide, giving `empty` where the denominator is 0."""
    out = np.full(numerator.shape, empty)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
