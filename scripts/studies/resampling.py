"""How far a difference depends on seeds and on subjects: 95 % intervals that resample both.

Seeds and subjects are crossed: a seed initialises the network and draws the labelled subjects, but all seeds draw test
subjects from one set. Seeds and subjects are therefore resampled independently, each with replacement and to their
original number (pigeonhole bootstrap, Owen 2007, Annals of Applied Statistics 1(2), 386-411; cells can be empty). All
seeds share one draw of subjects; a seed uses the drawn subjects that it tested, as often as they were drawn. The
subjects of each test set are drawn separately.

A resample weights the faces of a subject by how often the subject was drawn. For each run and AU, F1 at the validation
thresholds and AP are recomputed from weighted counts, with both runs of a pair on the same faces. An AU with only one
class in a resample is left out for both. The difference is averaged over AUs, then test sets, then the drawn seeds. The
interval spans the 2.5th to the 97.5th percentile of 2,000 resamples (Efron and Tibshirani 1993, An Introduction to the
Bootstrap, section 13.3). Resampling S seeds gives (S - 1) / S of the variance between them, so intervals from few seeds
are slightly too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.metrics.occurrence import Confusion, f1, score_decisions
from studies.run_scores import Scored

COUNT, PERCENTILES = 2000, (2.5, 97.5)

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean and standard deviation over seeds, and the bounds of the interval; NaN where undefined."""

    mean: float
    std: float
    low: float
    high: float


class Resamples:
    """Draws of seeds and of subjects; resample 0 is the original sample.

    Args:
        seeds: seeds of the runs.
        subjects: test subjects by test name.
        count: number of resamples.
    """

    def __init__(self, seeds: Sequence[int], subjects: Mapping[str, set[str]], *, count: int = COUNT) -> None:
        rng = np.random.default_rng(0)
        self.seeds = tuple(seeds)
        self.seed_weights = _weights(rng, len(self.seeds), count)
        self._subjects = {test: sorted(names) for test, names in subjects.items()}
        self.subject_weights = {test: _weights(rng, len(names), count) for test, names in self._subjects.items()}

    def scores(self, test: str, scored: Scored) -> dict[str, Array]:
        """F1@val and AP of a run in every resample, (R + 1, A); NaN where an AU shows one class."""
        numbers = np.searchsorted(self._subjects[test], scored.subjects.tolist())
        weights = self.subject_weights[test]
        return {"f1_val": _f1(scored, numbers, weights), "ap": _ap(scored, numbers, weights)}

    def difference(self, ours: Mapping[tuple[int, str], Array], theirs: Mapping[tuple[int, str], Array]) -> Difference:
        """How much higher a score is, ours - theirs; scores (R + 1, A) by seed and test."""
        tests = sorted({test for _, test in ours})
        by_seed = [
            _mean(np.stack([_mean(ours[seed, test] - theirs[seed, test], axis=1) for test in tests]), axis=0)
            for seed in self.seeds
        ]
        seeds = np.stack(by_seed, axis=1)
        resampled = _mean(seeds, axis=1, weights=self.seed_weights)
        low, high = np.nanpercentile(resampled[1:], PERCENTILES) if np.isfinite(resampled[1:]).any() else [np.nan] * 2
        std = float(np.std(seeds[0], ddof=1)) if len(self.seeds) > 1 else np.nan
        return Difference(mean=float(resampled[0]), std=std, low=float(low), high=float(high))


def _weights(rng: np.random.Generator, number: int, count: int) -> Array:
    """How often each item is drawn, (R + 1, number); each exactly once in the first row."""
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=count)
    return np.vstack([np.ones((1, number)), drawn])


def _f1(scored: Scored, subjects: NDArray[np.intp], weights: Array) -> Array:
    """F1 at the thresholds, from counts per subject."""
    tuned = np.isfinite(scored.thresholds)
    called = scored.observed & (scored.probability >= np.where(tuned, scored.thresholds, np.inf))
    positive = scored.observed & scored.truth
    counts = (called & positive, called & ~positive, positive & ~called, scored.observed & ~positive & ~called)
    per_subject = np.zeros((4, weights.shape[1], len(scored.aus)))
    for sums, faces in zip(per_subject, counts, strict=True):
        np.add.at(sums, subjects, faces)
    return np.where(tuned, score_decisions(f1, Confusion(*(weights @ per_subject))), np.nan)


def _ap(scored: Scored, subjects: NDArray[np.intp], weights: Array) -> Array:
    """Average precision, from each subject's faces down to every distinct score."""
    found = np.full((len(weights), len(scored.aus)), np.nan)
    for au in range(len(scored.aus)):
        order = np.flatnonzero(scored.observed[:, au])
        order = order[np.argsort(-scored.probability[order, au], kind="stable")]
        if not len(order):
            continue
        score = scored.probability[order, au]
        last_of_tie = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
        own = np.zeros((weights.shape[1], len(order)))
        own[subjects[order], np.arange(len(order))] = 1
        called, hit = (
            np.cumsum(faces, axis=1)[:, last_of_tie] for faces in (own, own * scored.truth[order, au])
        )  # of each subject, (S, K)
        gain = np.diff(hit, axis=1, prepend=0)
        rises = gain.any(axis=0)
        precision = (weights @ hit[:, rises]) / np.maximum(weights @ called[:, rises], 1)
        faces, positives = weights @ called[:, -1], weights @ hit[:, -1]
        both = (positives > 0) & (positives < faces)
        area = (weights @ gain[:, rises] * precision).sum(axis=1)
        found[both, au] = area[both] / positives[both]
    return found


def _mean(values: Array, *, axis: int, weights: Array | None = None) -> Array:
    """Mean of the defined values, NaN if there are none."""
    known = np.isfinite(values) * (np.ones(1) if weights is None else weights)
    total, count = (np.where(known > 0, values, 0) * known).sum(axis=axis), known.sum(axis=axis)
    mean: Array = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
