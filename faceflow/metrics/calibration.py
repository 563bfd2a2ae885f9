"""How well probabilities match frequencies: calibration error, Brier score, and maps that reduce both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.calibration import TEMPERATURE
from faceflow.encoding import Array

BINS = 15  # Guo et al. 2017, section 5
LEAST_SUBJECTS = 3  # with fewer, a map cannot be confirmed on held-out subjects
_FOLDS = 5
_STEPS, _CLOSE, _HALVINGS = 100, 1e-9, 40

Bools = NDArray[np.bool_]

ONE_CLASS = "only one class in validation"
REVERSED = "it ranks validation faces backwards"
NO_GAIN = "no smaller loss on held-out subjects"


@dataclass(frozen=True)
class Reliability:
    """The K non-empty bins of one AU: mean probability, share of faces where the AU occurs, number of faces, (K,)."""

    confidence: Array
    frequency: Array
    count: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Expected calibration error: mean of |frequency - confidence| over faces (Naeini 2015; Guo 2017, eq. 3)."""
        return float(np.average(np.abs(self.frequency - self.confidence), weights=self.count))

    @property
    def floor(self) -> float:
        """Expected ECE of exact probabilities on this many faces: mean absolute deviation of a binomial in each bin."""
        deviation = [binomial_deviation(int(n), float(p)) for n, p in zip(self.count, self.confidence, strict=True)]
        return float(np.sum(deviation) / np.sum(self.count))


@dataclass(frozen=True)
class AUMap:
    """A map of one AU's logits, see `faceflow.calibration`; `note` gives the reason if it is the identity."""

    slope: float = 1.0
    offset: float = 0.0
    note: str = ""


def reliability(probability: Array, truth: Bools, bins: int = BINS) -> Reliability:
    """Sort the faces of one AU (at least one) into bins of equal width; an edge belongs to the bin below it."""
    index = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    count = np.bincount(index, minlength=bins)
    filled = count > 0
    confidence = np.bincount(index, weights=probability, minlength=bins)[filled] / count[filled]
    frequency = np.bincount(index, weights=truth, minlength=bins)[filled] / count[filled]
    return Reliability(confidence, frequency, count[filled])


def calibration_errors(probability: Array, truth: Bools, observed: Bools) -> Array:
    """Expected calibration error of each AU, (A,); NaN without labels. Arrays are (N, A)."""
    return _each(lambda p, y: reliability(p, y).ece, probability, truth, observed)


def calibration_floors(probability: Array, truth: Bools, observed: Bools) -> Array:
    """Expected error of exact probabilities on this many faces, (A,), see `Reliability.floor`."""
    return _each(lambda p, y: reliability(p, y).floor, probability, truth, observed)


def calibration_terms(probability: Array, truth: Bools, observed: Bools) -> Iterator[Array]:
    """Arrays (N, A) from whose sums over frames `calibration_error_of_sums` computes the error of each AU.

    For every bin, label minus probability, and 0 outside the bin; then whether there is a label. Inputs are (N, A).
    """
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], probability)
    difference = np.where(observed, np.subtract(truth, probability, dtype=np.float64), 0.0)
    for number in range(BINS):
        yield np.where(place == number, difference, 0.0)
    yield observed.astype(np.float64)


def calibration_error_of_sums(sums: Array) -> Array:
    """Expected calibration error (..., A) from sums (..., K, A) of `calibration_terms`, NaN without labels."""
    count = sums[..., -1, :]
    total = np.abs(sums[..., :-1, :]).sum(axis=-2)
    return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), np.float64)


def brier_scores(probability: Array, truth: Bools, observed: Bools) -> Array:
    """Brier score of each AU, mean of (p - y)^2 (Brier 1950), (A,); NaN without labels. Arrays are (N, A)."""
    return _each(lambda p, y: float(np.mean((p - y) ** 2)), probability, truth, observed)


def fit_map(logits: Array, truth: Bools, subjects: NDArray[np.intp], *, method: str) -> AUMap:
    """Fit the map of one AU, and keep it only if it helps on subjects that it was not fitted on.

    Up to five groups of subjects are held out in turn. With fewer than three subjects nothing is held out.

    Args:
        logits: logits of labelled faces, (N,).
        truth: their labels, (N,).
        subjects: their subjects, (N,).
        method: platt or temperature.
    """
    if not 0 < truth.sum() < len(truth):
        return AUMap(note=ONE_CLASS)
    slope, offset = fit_coefficients(logits, truth, method=method)
    if slope <= 0:
        return AUMap(note=REVERSED)
    _, who = np.unique(subjects, return_inverse=True)
    count = int(who.max()) + 1
    if count < LEAST_SUBJECTS:
        return AUMap(slope, offset)
    held_out = logits.astype(np.float64)
    for fold in range(min(_FOLDS, count)):
        out = who % _FOLDS == fold
        if 0 < truth[~out].sum() < (~out).sum():
            a, b = fit_coefficients(logits[~out], truth[~out], method=method)
            held_out[out] = a * logits[out] + b
    better = _loss(held_out, truth.astype(np.float64)) < _loss(logits, truth.astype(np.float64))
    return AUMap(slope, offset) if better else AUMap(note=NO_GAIN)


def fit_coefficients(logits: Array, truth: Bools, *, method: str) -> tuple[float, float]:
    """Slope and offset of maximum likelihood, by Newton's method; the offset of temperature scaling is 0.

    As in Platt 1999, targets are (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) instead of 1 and 0, so that coefficients stay
    finite if a threshold separates the classes.

    Args:
        logits: (N,).
        truth: (N,), with both classes.
        method: platt or temperature.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    inputs = logits[:, None] if method == TEMPERATURE else np.stack([logits, np.ones_like(logits)], axis=1)
    found = np.zeros(inputs.shape[1])
    found[0] = 1.0
    loss = _loss(inputs @ found, target)
    for _ in range(_STEPS):
        p = np.exp(-np.logaddexp(0.0, -(inputs @ found)))
        gradient = inputs.T @ (p - target)
        curvature = (inputs.T * (p * (1 - p))) @ inputs
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        for _ in range(_HALVINGS):
            if (lower := _loss(inputs @ (found - step), target)) <= loss:
                break
            step = step / 2
        else:
            break
        found, loss = found - step, lower
        if np.abs(step).max() < _CLOSE:
            break
    return float(found[0]), float(found[1]) if len(found) > 1 else 0.0


def binomial_deviation(count: int, p: float) -> float:
    """E|X - np| of a binomial, 2 v C(n, v) p^v (1 - p)^(n - v + 1) with v = floor(np) + 1 (de Moivre)."""
    v = math.floor(count * p) + 1
    if not 0 < p < 1 or v > count:
        return 0.0
    ways = math.lgamma(count + 1) - math.lgamma(v + 1) - math.lgamma(count - v + 1)
    return 2 * v * math.exp(ways + v * math.log(p) + (count - v + 1) * math.log1p(-p))


def _loss(logits: Array, target: Array) -> float:
    """Sum of the cross-entropy."""
    return float(np.sum(np.logaddexp(0.0, logits) - target * logits))


def _each(score: Callable[[Array, Bools], float], probability: Array, truth: Bools, observed: Bools) -> Array:
    found = np.full(probability.shape[1], np.nan)
    for au in np.flatnonzero(observed.any(axis=0)):
        seen = observed[:, au]
        found[au] = score(probability[seen, au], truth[seen, au])
    return found
