"""How much scores depend on the tested subjects: 95 % intervals by resampling subjects (Efron 1979, percentiles).

Frames of one subject are alike, so resampling frames would give intervals that are far too narrow. Decision metrics
and ICC are functions of sums over frames: sums per subject are computed once, and a resample is a weighted sum of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.intensity import Moments, ratio
from faceflow.metrics.metric import AT_HALF, AT_VAL, Metric, columns
from faceflow.metrics.occurrence import Confusion, score_decisions
from faceflow.metrics.ranking import Array, BoolArray, FloatArray
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD

LEVEL = 0.95
_BLOCK = 4_000_000  # draws that are held in memory at once

Formula = Callable[[FloatArray], FloatArray]  # of sums (..., K, A)
Sums = tuple[list[Array], Formula]  # K terms (N, A) and the formula of their sums


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and the bounds of its interval, arrays of one shape; NaN where undefined."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric per AU, (A,), and its mean over the AUs that have one, ()."""

    per_au: Interval
    mean: Interval


class SubjectBootstrap:
    """Intervals of metrics on the same N frames, all from the same resamples.

    Args:
        subjects: subject on each frame, (N,).
        resamples: number of resamples; with 0, or with a single subject, the bounds are undefined.
        seed: seed of the draws.
    """

    def __init__(self, subjects: npt.ArrayLike, *, resamples: int, seed: int) -> None:
        names, self._subject = np.unique(np.asarray(subjects), return_inverse=True)
        self.count = len(names)
        self.resamples = resamples if self.count > 1 else 0
        self._seed = seed

    def decisions(self, metric: Metric, predicted: Array, truth: Array, observed: BoolArray) -> Estimate:
        """A decision metric, undefined for an AU without both classes; all (N, A), decisions and truth 0/1."""
        return self._estimate(*sums_of_decisions(metric, predicted, truth, observed))

    def intensities(self, metric: Metric, prediction: Array, truth: Array, observed: BoolArray) -> Estimate:
        """An intensity metric with a formula of moments; arrays are (N, A)."""
        return self._estimate(*sums_of_intensities(metric, prediction, truth, observed))

    def all_intervals(
        self, prediction: Prediction, *, occurrence: Array, intensity: Array, observed: BoolArray, thresholds: Array
    ) -> dict[str, Estimate]:
        """Estimates of all metrics that have an interval, by column; arguments as for `evaluate`.

        Thresholds can also be given per frame, (N, A).
        """
        asked = _all_sums(
            prediction, occurrence=occurrence, intensity=intensity, observed=observed, thresholds=thresholds
        )
        return {name: self._estimate(*sums) for name, sums in asked.items()}

    def all_differences(
        self,
        before: tuple[Prediction, Array],
        after: tuple[Prediction, Array],
        *,
        occurrence: Array,
        intensity: Array,
        observed: BoolArray,
    ) -> dict[str, Estimate]:
        """Estimates of how much two predictions of the same frames differ, after - before, by column.

        Both are scored on the same resamples, so a subject that is hard for both does not widen an interval.

        Args:
            before: a prediction, and its thresholds as for `evaluate`.
            after: the other one.
            occurrence: labels, as for `evaluate`.
            intensity: labels, as for `evaluate`.
            observed: which labels are known, as for `evaluate`.
        """
        first, second = (
            _all_sums(prediction, occurrence=occurrence, intensity=intensity, observed=observed, thresholds=thresholds)
            for prediction, thresholds in (before, after)
        )
        return {name: self._estimate(*_difference(first[name], second[name])) for name in first if name in second}

    def _estimate(self, terms: list[Array], metric: Formula) -> Estimate:
        """Evaluate a metric of sums (..., K, A) on all subjects and on each resample; terms are K arrays (N, A)."""
        ((everybody, per_au),) = self.draws([(terms, metric)], np.arange(len(self._subject)))
        valid = np.isfinite(everybody)
        return Estimate(
            per_au=interval(everybody, per_au),
            mean=interval(mean_over_aus(everybody[valid]), mean_over_aus(per_au[:, valid])),
        )

    def draws(
        self, asked: Sequence[tuple[Iterable[Array], Formula]], rows: npt.NDArray[np.intp]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Values (A,) of metrics on some of the frames, and their values (R, A) on the resamples of all subjects.

        Calls for other frames use the same resamples, so that their values can be compared.

        Args:
            asked: for each metric, K terms (M, A) of these frames, and its formula of their sums (..., K, A).
            rows: numbers of the frames, (M,).
        """
        members, subject = np.unique(self._subject[rows], return_inverse=True)
        sums = [np.stack([_per_group(term, subject, len(members)) for term in terms], axis=1) for terms, _ in asked]
        formulas = [formula for _, formula in asked]
        drawn = [[np.empty((0, each.shape[-1]))] for each in sums]
        for weights in self.weights():
            for formula, each, values in zip(formulas, sums, drawn, strict=True):
                totals = weights[:, members] @ each.reshape(len(members), -1)
                values.append(formula(totals.reshape(-1, *each.shape[1:])))
        found = [formula(each.sum(axis=0)) for formula, each in zip(formulas, sums, strict=True)]
        return [(value, np.concatenate(values)) for value, values in zip(found, drawn, strict=True)]

    def per_subject(self, values: Array) -> FloatArray:
        """Sums over the frames of each subject, (S, A)."""
        return _per_group(values, self._subject, self.count)

    def weights(self) -> Iterator[FloatArray]:
        """How often each resample draws each subject, (R, S) in blocks of R."""
        rng, left = np.random.default_rng(self._seed), self.resamples
        while left:
            rows = min(left, max(1, _BLOCK // self.count))
            drawn = rng.integers(0, self.count, (rows, self.count)) + np.arange(rows)[:, None] * self.count
            yield np.bincount(drawn.ravel(), minlength=rows * self.count).reshape(rows, -1).astype(np.float64)
            left -= rows


def _per_group(values: Array, group: npt.NDArray[np.intp], count: int) -> FloatArray:
    """Sums (count, A) of values (N, A) by their group (N,)."""
    columns = [np.bincount(group, column, count) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def _all_sums(
    prediction: Prediction, *, occurrence: Array, intensity: Array, observed: BoolArray, thresholds: Array
) -> dict[str, Sums]:
    """Terms and formula of each metric that has an interval, by column; arguments as for `evaluate`."""
    tuned = np.isfinite(thresholds)
    cuts = {AT_VAL: (thresholds, observed & tuned), AT_HALF: (np.full(1, DEFAULT_THRESHOLD), observed)}
    predicted = np.full_like(intensity, np.nan) if prediction.intensity is None else prediction.intensity
    graded = observed & np.isfinite(intensity) & np.isfinite(predicted)
    found = {}
    for column in columns():
        if column.metric.intervals and column.threshold is not None:
            cut, judged = cuts[column.threshold]
            found[column.name] = sums_of_decisions(column.metric, prediction.probability >= cut, occurrence, judged)
        elif column.metric.intervals and graded.any():
            found[column.name] = sums_of_intensities(column.metric, predicted, intensity, graded)
    return found


def sums_of_decisions(metric: Metric, predicted: Array, truth: Array, observed: BoolArray) -> Sums:
    """Terms and formula of a decision metric; arguments as for `SubjectBootstrap.decisions`."""
    positive, called = (truth == 1) & observed, (predicted == 1) & observed
    hit = positive & called
    counts = [hit, called & ~hit, positive & ~hit, observed & ~positive & ~called]
    return counts, lambda sums: score_decisions(metric, Confusion(*np.moveaxis(sums, -2, 0)))


def sums_of_intensities(metric: Metric, prediction: Array, truth: Array, observed: BoolArray) -> Sums:
    """Terms and formula of an intensity metric; arguments as for `SubjectBootstrap.intensities`."""
    formula = metric.of_moments
    assert formula is not None, f"{metric.name} cannot be computed from sums over frames"
    seen = np.where(observed, 1.0, 0.0)
    p, t = _centred(prediction, seen, observed), _centred(truth, seen, observed)
    terms = [seen, p, t, p * p, t * t, p * t]
    return terms, lambda sums: formula(Moments(*np.moveaxis(sums, -2, 0)))


def _difference(first: Sums, second: Sums) -> Sums:
    (terms, formula), (others, other) = first, second
    count = len(terms)
    return [*terms, *others], lambda sums: other(sums[..., count:, :]) - formula(sums[..., :count, :])


def _centred(values: Array, seen: FloatArray, observed: BoolArray) -> FloatArray:
    """Subtract the mean of each AU, so that sums of squares do not cancel; 0 where unobserved."""
    known = np.where(observed, values, 0.0)
    return np.where(observed, known - known.sum(axis=0) / np.maximum(seen.sum(axis=0), 1), 0.0)


def interval(value: FloatArray, draws: FloatArray) -> Interval:
    """A value with the bounds of the defined draws (R, ...), along their first axis."""
    tail = (1 - LEVEL) / 2
    bounds = np.full((2, *value.shape), np.nan)
    some = np.isfinite(value) & np.isfinite(draws).any(axis=0)
    bounds[:, some] = np.nanquantile(draws[:, some], [tail, 1 - tail], axis=0)
    return Interval(value=value, low=bounds[0], high=bounds[1])


def mean_over_aus(values: FloatArray) -> FloatArray:
    """Mean over the AUs (..., A) whose value is defined, NaN if there is none."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
