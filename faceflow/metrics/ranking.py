"""Counts of true and false positives at every distinct score: one sort that all occurrence curves share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OccurrenceRows:
    """Checked occurrence arrays, transposed to (A, N): one contiguous row per AU, which is fast to scan."""

    prob: FloatArray
    positive: BoolArray
    """True where observed and 1."""
    observed: BoolArray

    @classmethod
    def check(cls, prob: Array, truth: Array, observed: Array) -> OccurrenceRows:
        """Assert that (N, A) arrays are consistent.

        Only observed entries are checked: a missing one can hold any value, including NaN and -1.
        """
        assert prob.ndim == 2, f"prob must be (N, A), got {prob.shape}"
        assert prob.shape == truth.shape == observed.shape, (
            f"prob, truth and observed must have one shape, got {prob.shape}, {truth.shape}, {observed.shape}"
        )
        assert observed.dtype == np.bool_, f"observed must be bool, got {observed.dtype}"
        positive = (truth == 1) & observed
        assert np.all(positive | (truth == 0) | ~observed), "an observed truth is neither 0 nor 1"
        assert np.all(((prob >= 0) & (prob <= 1)) | ~observed), "an observed prob is NaN or outside [0, 1]"
        return cls(
            prob=np.ascontiguousarray(prob.T, dtype=np.float64),
            positive=np.ascontiguousarray(positive.T),
            observed=np.ascontiguousarray(observed.T),
        )


@dataclass(frozen=True)
class Ranking:
    """The K distinct scores of one AU, highest first, and the counts when predicting `score >= scores[k]`.

    Tied frames form one entry, so every metric of a Ranking is exact under ties and independent of row order.
    """

    scores: FloatArray
    """(K,) in [0, 1], strictly decreasing."""
    tp: IntArray
    """(K,) positives with a score of at least `scores[k]`."""
    fp: IntArray
    """(K,) negatives with a score of at least `scores[k]`."""

    @property
    def positives(self) -> int:
        """Number of positive frames."""
        return int(self.tp[-1]) if self.tp.size else 0

    @property
    def negatives(self) -> int:
        """Number of negative frames."""
        return int(self.fp[-1]) if self.fp.size else 0

    @property
    def has_both_classes(self) -> bool:
        """Whether precision, recall and the curves are defined."""
        return self.positives > 0 and self.negatives > 0

    @cached_property
    def equal_error(self) -> int:
        """Index where the miss rate FNR is closest to the false alarm rate FPR, for a ranking with both classes.

        FNR - FPR falls strictly with the threshold, so at most two scores tie in |FNR - FPR|, one on each side of
        equality; the higher one is taken.
        """
        missed = self.positives - self.tp
        # |FNR - FPR| times both class sizes stays an integer, so ties are exact.
        return int(np.argmin(np.abs(missed * self.negatives - self.fp * self.positives)))


def rank(score: FloatArray, positive: BoolArray) -> Ranking:
    """Rank the frames of one AU; both arrays (N,), scores in [0, 1]."""
    # Non-negative IEEE-754 doubles sort as their bit patterns, and those up to 1.0 leave the top two bits
    # free: one plain sort of (bits, label) replaces an argsort and two gathers.
    keys = score.view(np.int64) << 1 | positive
    keys.sort()
    descending = keys[::-1]
    bits = descending >> 1
    last_of_tie = np.flatnonzero(np.append(bits[1:] != bits[:-1], bits.size > 0))
    tp = np.cumsum(descending & 1)[last_of_tie]
    return Ranking(scores=bits[last_of_tie].view(np.float64), tp=tp, fp=last_of_tie + 1 - tp)


def rank_resamples(
    score: FloatArray, positive: BoolArray, seen: BoolArray, counts: Iterable[IntArray]
) -> Iterator[Ranking]:
    """Rank the observed frames of one AU in resamples, with one sort for all.

    Args:
        score: (N,), in [0, 1].
        positive: (N,).
        seen: which frames are observed, (N,).
        counts: for each resample, how often it contains every frame, (N,).
    """
    frames = np.flatnonzero(seen)
    frames = frames[np.argsort(score[frames])[::-1]]
    ranked = score[frames]
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], ranked.size > 0))
    scores = ranked[last_of_tie]
    # One sum counts frames in its lower 32 bits and positives in its upper ones.
    both = 1 + (positive[frames].astype(np.int64) << 32)
    for count in counts:
        sums = np.cumsum(count[frames] * both)[last_of_tie]
        drawn, tp = sums & 0xFFFFFFFF, sums >> 32
        present = np.diff(drawn, prepend=0) > 0
        yield Ranking(scores=scores[present], tp=tp[present], fp=(drawn - tp)[present])


def rank_each_au(rows: OccurrenceRows) -> Iterator[Ranking]:
    """Rank the observed frames of one AU after the other."""
    for score, positive, seen in zip(rows.prob, rows.positive, rows.observed, strict=True):
        yield rank(score[seen], positive[seen])
