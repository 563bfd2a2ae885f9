"""Decision thresholds tuned per AU: tune on validation subjects, freeze, then score the test subjects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceflow.metrics.ranking import Array, FloatArray, OccurrenceRows, Ranking, rank_each_au, rank_resamples

DEFAULT_THRESHOLD = 0.5  # of AUs for which none was tuned


def tune_thresholds(prob: Array, truth: Array, observed: Array, fallback: npt.ArrayLike) -> FloatArray:
    """Choose the threshold of each AU that maximises its F1, exactly, over all cuts between its scores.

    Args:
        prob: (N, A) in [0, 1].
        truth: (N, A), 0 or 1.
        observed: (N, A) bool, False where the label is missing.
        fallback: (A,) or scalar, for AUs without an observed positive and an observed negative.

    Returns:
        (A,) thresholds for `prob >= threshold`. Each lies midway between a distinct score and the next
        lower one (or 0 below the lowest), so rounding noise in the scores flips no frame. Among equally good cuts
        the one nearest 0.5 is chosen, the higher of two equally near.
    """
    rows = OccurrenceRows.check(prob, truth, observed)
    default = np.asarray(fallback, dtype=np.float64)
    aus = prob.shape[1:]
    assert default.shape in ((), aus), f"fallback must be scalar or {aus}, got {default.shape}"
    thresholds = np.broadcast_to(default, aus).copy()
    for au, ranking in enumerate(rank_each_au(rows)):
        if ranking.has_both_classes:
            thresholds[au] = best_f1_threshold(ranking)
    return thresholds


def best_f1_threshold(ranking: Ranking) -> float:
    """Choose the threshold of one AU with both classes; see `tune_thresholds`."""
    # Equal fractions of counts round to equal doubles, and different ones (below 2^26 frames) do not.
    f1 = 2 * ranking.tp / (ranking.tp + ranking.fp + ranking.positives)
    best = np.flatnonzero(f1 == f1.max())
    score, next_lower = ranking.scores[best], np.append(ranking.scores[1:], 0.0)[best]
    midway = (score + next_lower) / 2
    # Between two neighbouring doubles there is no midpoint: it may round down onto the lower score.
    threshold = np.where(midway > next_lower, midway, score)
    return float(threshold[np.argmin(np.abs(threshold - 0.5))])


def bagged_thresholds(prob: Array, truth: Array, observed: Array, *, resamples: int, seed: int) -> FloatArray:
    """Average the tuned thresholds over bootstrap resamples of the frames (Breiman 1996, bagging).

    With few positives, the cut with the best F1 depends on a handful of frames; the mean over resamples transfers
    better to other subjects, and hardly differs from the plain cut if there are many labels.

    Args:
        prob: (N, A) in [0, 1].
        truth: (N, A), 0 or 1.
        observed: (N, A) bool, False where the label is missing.
        resamples: number of resamples.
        seed: seed of the resampling.

    Returns:
        (A,) thresholds; NaN for AUs without an observed positive and an observed negative.
    """
    rng, frames = np.random.default_rng(seed), len(prob)
    counts = [np.bincount(rng.integers(0, frames, frames), minlength=frames) for _ in range(resamples)]
    counts.insert(0, np.ones(frames, np.int64))
    rows = OccurrenceRows.check(prob, truth, observed)
    cuts = np.full((1 + resamples, prob.shape[1]), np.nan)
    for au, (score, positive, seen) in enumerate(zip(rows.prob, rows.positive, rows.observed, strict=True)):
        for draw, ranking in enumerate(rank_resamples(score, positive, seen, counts)):
            if ranking.has_both_classes:
                cuts[draw, au] = best_f1_threshold(ranking)
    # A rare AU can lose its only positive in a resample; the plain cut ensures that there is a value to average.
    defined = np.isfinite(cuts)
    total = np.where(defined, cuts, 0.0).sum(axis=0)
    mean = np.divide(total, defined.sum(axis=0), out=np.full(cuts.shape[1], np.nan), where=defined[0])
    return np.asarray(mean, np.float64)
