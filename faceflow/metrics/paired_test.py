"""Compares two predictions of the same frames: the differences of their scores, and whether chance explains them.

Intervals come from drawing the subjects with replacement, the same for both (paired bootstrap, percentile interval).
The p value comes from a permutation test: if both systems were equal, it would not matter which of them predicted a
subject, so the predictions of whole subjects are swapped at random (Noreen 1989, "approximate randomization"). It is
exact for any number of subjects; the interval is somewhat too narrow for fewer than about 20.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.metrics.bootstrap import Interval, SubjectBootstrap, interval, mean_over_aus
from faceflow.metrics.intensity import Moments
from faceflow.metrics.metric import Metric
from faceflow.metrics.occurrence import Confusion, score_decisions
from faceflow.metrics.ranking import Array, BoolArray, FloatArray, IntArray, rank_resamples

_BLOCK = 1024  # swaps that are held in memory at once
_ROUNDING = 1e-12

Scores = Callable[[FloatArray], FloatArray]  # of sums (..., K, A)


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """Scores of two predictions per AU, (A,), and their difference, second - first; NaN where undefined.

    `p` are two-sided p values, not corrected for the number of AUs. `mean` and `mean_p` refer to the mean over the AUs
    on which both have a score.
    """

    first: FloatArray
    second: FloatArray
    difference: Interval
    p: FloatArray
    mean: Interval
    mean_p: float


class PairedTest:
    """Compares predictions of the same N frames, all on the same resamples and swaps.

    Args:
        subjects: subject on each frame, (N,); at least two subjects.
        resamples: number of resamples, and largest number of swaps; with few subjects all 2^S swaps are tried.
        seed: seed of the draws.
        advance: called after each AU of the ranking metrics, which take long.
    """

    def __init__(
        self, subjects: npt.ArrayLike, *, resamples: int, seed: int, advance: Callable[[], None] = lambda: None
    ) -> None:
        _, self._subject = np.unique(np.asarray(subjects), return_inverse=True)
        self._bootstrap = SubjectBootstrap(subjects, resamples=resamples, seed=seed)
        self.count = self._bootstrap.count
        self.every_swap = 2**self.count <= resamples
        self._resamples, self._seed, self._advance = resamples, seed, advance

    @property
    def least_p(self) -> float:
        """The smallest possible p value: swapping all subjects gives the same difference as swapping none."""
        return 2 / 2**self.count if self.every_swap else 1 / (self._resamples + 1)

    def decisions(
        self, metric: Metric, first: BoolArray, second: BoolArray, truth: Array, observed: BoolArray
    ) -> PairedScores:
        """A decision metric; all (N, A), truth 0/1 where observed."""

        def counts(called: BoolArray) -> list[Array]:
            positive, called = (truth == 1) & observed, called & observed
            hit = positive & called
            return [hit, called & ~hit, positive & ~hit, observed & ~positive & ~called]

        return self._of_sums(
            counts(first), counts(second), lambda sums: score_decisions(metric, Confusion(*np.moveaxis(sums, -2, 0)))
        )

    def intensities(
        self, metric: Metric, first: Array, second: Array, truth: Array, observed: BoolArray
    ) -> PairedScores:
        """An intensity metric with a formula of moments; arrays are (N, A)."""
        formula = metric.of_moments
        assert formula is not None, f"{metric.name} cannot be computed from sums over frames"
        seen = np.where(observed, 1.0, 0.0)
        # One centre for all three, so that sums of squares do not cancel and swapped predictions keep their offset.
        centre = np.where(observed, truth, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        t = np.where(observed, truth - centre, 0.0)

        def powers(prediction: Array) -> list[Array]:
            p = np.where(observed, prediction - centre, 0.0)
            return [seen, p, t, p * p, t * t, p * t]

        return self._of_sums(powers(first), powers(second), lambda sums: formula(Moments(*np.moveaxis(sums, -2, 0))))

    def rankings(
        self, metrics: Sequence[Metric], first: Array, second: Array, truth: Array, observed: BoolArray
    ) -> dict[str, PairedScores]:
        """Ranking metrics by name; all (N, A), scores in [0, 1].

        Scores are swapped as ranks, so two systems with the same order on different scales count as equal.
        """
        swaps = np.concatenate(list(self._swaps())).astype(np.int64)
        weights = np.concatenate([block.astype(np.int64) for block in self._bootstrap.weights()])
        found = []
        for au in range(truth.shape[1]):
            seen, positive = observed[:, au], observed[:, au] & (truth[:, au] == 1)
            ours, theirs = (_share_below(scores[:, au], seen) for scores in (first, second))

            def drawn(score: FloatArray, positive: BoolArray = positive, seen: BoolArray = seen) -> FloatArray:
                everybody = np.ones((1, self.count), np.int64)
                counts = (each[self._subject] for block in (everybody, weights) for each in block)
                return _ranked(metrics, score, positive, seen, counts)

            def swapped(away: IntArray, positive: BoolArray = positive, seen: BoolArray = seen) -> FloatArray:
                both, mine = np.concatenate([ours, theirs]), (each[self._subject] for each in away)  # noqa: B023
                counts = (np.concatenate([1 - each, each]) for each in mine)
                return _ranked(metrics, both, np.tile(positive, 2), np.tile(seen, 2), counts)

            found.append((drawn(ours), drawn(theirs), swapped(1 - swaps) - swapped(swaps)))
            self._advance()
        one, other, swapped_differences = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
        return {
            metric.name: self._scores(one[0, n], other[0, n], (other - one)[1:, n], swapped_differences[:, n])
            for n, metric in enumerate(metrics)
        }

    def _of_sums(self, first: list[Array], second: list[Array], scores: Scores) -> PairedScores:
        """Compare scores computed from sums; terms are K arrays (N, A)."""
        one, other = (
            np.stack([self._bootstrap.per_subject(term) for term in terms], axis=1) for terms in (first, second)
        )
        shape = one.shape[1:]

        def total(weights: FloatArray, sums: FloatArray) -> FloatArray:
            return (weights @ sums.reshape(self.count, -1)).reshape(-1, *shape)

        drawn = [scores(total(weights, other)) - scores(total(weights, one)) for weights in self._bootstrap.weights()]
        swapped, (all_one, all_other) = [], (one.sum(axis=0), other.sum(axis=0))
        for swaps in self._swaps():
            moved = total(swaps.astype(np.float64), other - one)
            swapped.append(scores(all_other - moved) - scores(all_one + moved))
        return self._scores(scores(all_one), scores(all_other), np.concatenate(drawn), np.concatenate(swapped))

    def _scores(self, first: FloatArray, second: FloatArray, drawn: FloatArray, swapped: FloatArray) -> PairedScores:
        """Summarise scores (A,) and the differences of resamples and swaps (R, A)."""
        difference = second - first
        valid = np.isfinite(difference)
        mean = np.asarray(mean_over_aus(difference[valid]))
        return PairedScores(
            first=first,
            second=second,
            difference=interval(difference, drawn),
            p=np.array([self._p(found, draws) for found, draws in zip(difference, swapped.T, strict=True)]),
            mean=interval(mean, mean_over_aus(drawn[:, valid])),
            mean_p=self._p(float(mean), mean_over_aus(swapped[:, valid])),
        )

    def _p(self, found: float, swapped: FloatArray) -> float:
        """Share of the swaps whose difference is at least as large as the one found."""
        if not np.isfinite(found):
            return float("nan")
        extreme = int(np.count_nonzero(np.abs(swapped) >= abs(found) - _ROUNDING))
        if self.every_swap:
            return extreme / len(swapped)
        return (extreme + 1) / (len(swapped) + 1)  # the found difference is one of them

    def _swaps(self) -> Iterator[BoolArray]:
        """Which subjects are swapped, (R, S) in blocks of R."""
        if self.every_swap:
            yield (np.arange(2**self.count)[:, None] >> np.arange(self.count) & 1).astype(np.bool_)
            return
        rng = np.random.default_rng([self._seed, 1])  # other random numbers than the resamples
        for start in range(0, self._resamples, _BLOCK):
            yield rng.random((min(_BLOCK, self._resamples - start), self.count)) < 0.5


def holm(p: npt.ArrayLike) -> FloatArray:
    """P values of any shape, corrected for their number (Holm 1979); NaN values do not count."""
    values = np.asarray(p, np.float64)
    found = np.full(values.size, np.nan)
    order = [place for place in np.argsort(values, axis=None) if np.isfinite(values.flat[place])]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(values.ravel()[order] * factors), 1.0)
    return found.reshape(values.shape)


def _ranked(
    metrics: Sequence[Metric], score: FloatArray, positive: BoolArray, seen: BoolArray, counts: Iterator[IntArray]
) -> FloatArray:
    """Values (R, M) of metrics on resamples that contain every frame `counts` times, NaN without both classes."""
    rankings = rank_resamples(score, positive, seen, counts)
    values = [[m.formula(each) if each.has_both_classes else np.nan for m in metrics] for each in rankings]
    return np.array(values, np.float64).reshape(-1, len(metrics))


def _share_below(score: Array, seen: BoolArray) -> FloatArray:
    """Share of the observed frames with a lower score, (N,); ties stay ties."""
    known = np.sort(score[seen])
    return np.where(seen, np.searchsorted(known, score), 0) / max(len(known), 1)
