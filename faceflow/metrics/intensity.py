"""AU intensity metrics over a whole epoch, per AU."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def intensity_metrics(prediction: Array, truth: Array, observed: Array) -> dict[str, Array]:
    """Score predicted intensities per AU; the headline metrics are `icc`, `pcc`, `mse` and `mae`.

    Missing entries have no influence, whatever they hold. An AU without an observed frame gets NaN.

    Args:
        prediction: (N, A) intensities, already clamped to the label range.
        truth: (N, A) intensities, in the same unit.
        observed: (N, A) bool, False where the label is missing.

    Returns:
        (A,) arrays, with e = prediction - truth:

        - `icc`: ICC(3,1) of the raters prediction and truth (Shrout and Fleiss 1979), for two raters equal to
          2 cov / (var + var). NaN if the truth does not vary, as for an AU that nobody shows: no prediction of it can
          be told from another, and PCC, F1 and AUROC are undefined there too. 0 if only the prediction does not vary:
          it agrees with nothing and must not drop out of the mean over AUs.
        - `pcc`: Pearson correlation; NaN if either does not vary.
        - `mse`, `mae`, `rmse`: over all frames; `rmse` is the root of `mse`, never a mean of batch values.
        - `smape`: mean 2|e| / (|truth| + |prediction|), in [0, 2], with 0 where both are 0. Any false
          activation of a neutral frame counts 2, however small.
        - `wmape`: sum |e| / sum |truth|; NaN if every truth is 0.
        - `mape`: mean |e| / truth over the frames with truth > 0; NaN if there is none.
        - `observed`: number of observed frames.
    """
    _check(prediction, truth, observed)
    # One contiguous row per AU: numpy then sums pairwise, which keeps the rounding error small.
    seen = np.ascontiguousarray(observed.T)
    y_hat, y = _rows(prediction, seen), _rows(truth, seen)
    count = np.count_nonzero(seen, axis=1)
    error = np.abs(y_hat - y)
    mse = _ratio(np.sum(error**2, axis=1), count)
    icc, pcc = _agreement(y_hat, y, seen)
    active = y > 0
    return {
        "icc": icc,
        "pcc": pcc,
        "mse": mse,
        "mae": _ratio(np.sum(error, axis=1), count),
        "rmse": np.sqrt(mse),
        "smape": _ratio(np.sum(_ratio(2 * error, np.abs(y) + np.abs(y_hat), empty=0.0), axis=1), count),
        "wmape": _ratio(np.sum(error, axis=1), np.sum(np.abs(y), axis=1)),
        "mape": _ratio(
            np.sum(np.divide(error, y, out=np.zeros_like(y), where=active), axis=1),
            np.count_nonzero(active, axis=1),
        ),
        "observed": count,
    }


def _check(prediction: Array, truth: Array, observed: Array) -> None:
    assert prediction.ndim == 2, f"prediction must be (N, A), got {prediction.shape}"
    assert prediction.shape == truth.shape == observed.shape, (
        f"prediction, truth and observed must have one shape, got {prediction.shape}, {truth.shape}, {observed.shape}"
    )
    assert observed.dtype == np.bool_, f"observed must be bool, got {observed.dtype}"
    assert np.all(np.isfinite(prediction) | ~observed), "an observed prediction is not finite"
    assert np.all(np.isfinite(truth) | ~observed), "an observed truth is not finite"


def _rows(values: Array, seen: BoolArray) -> FloatArray:
    """(A, N) float64 with 0 in the missing entries, which then add nothing to any sum."""
    return np.where(seen, values.T.astype(np.float64), 0.0)


def _agreement(y_hat: FloatArray, y: FloatArray, seen: BoolArray) -> tuple[FloatArray, FloatArray]:
    """ICC(3,1) and Pearson correlation from centred values; each (A,)."""
    d_hat, d = _centre(y_hat, seen), _centre(y, seen)
    covariance = np.sum(d_hat * d, axis=1)
    variance_hat, variance = np.sum(d_hat**2, axis=1), np.sum(d**2, axis=1)
    icc = np.where(variance > 0, _ratio(2 * covariance, variance_hat + variance), np.nan)
    pcc = _ratio(covariance, np.sqrt(variance_hat) * np.sqrt(variance))
    return np.clip(icc, -1.0, 1.0), np.clip(pcc, -1.0, 1.0)


def _centre(values: FloatArray, seen: BoolArray) -> FloatArray:
    """Subtract each row's mean over its seen entries; the others stay 0."""
    lowest = np.min(values, axis=1, where=seen, initial=np.inf, keepdims=True)
    highest = np.max(values, axis=1, where=seen, initial=-np.inf, keepdims=True)
    mean = np.sum(values, axis=1, keepdims=True) / np.maximum(np.count_nonzero(seen, axis=1), 1)[:, None]
    # A rounded mean can leave the range of the values: clipped, a constant row centres to exactly 0.
    return np.where(seen, values - np.clip(mean, lowest, highest), 0.0)


def _ratio(numerator: FloatArray, denominator: Array, empty: float = np.nan) -> FloatArray:
    """Divide, giving `empty` where the denominator is 0."""
    out = np.full(numerator.shape, empty)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
