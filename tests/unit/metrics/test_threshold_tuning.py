from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from faceflow.metrics.occurrence import occurrence_metrics
from faceflow.metrics.thresholds import tune_thresholds

Array = npt.NDArray[Any]


def tune_one(scores: list[float], truth: list[int]) -> float:
    prob, labels = np.array(scores)[:, None], np.array(truth)[:, None]
    return float(tune_thresholds(prob, labels, np.ones(prob.shape, dtype=bool), 0.5)[0])


def f1_at(prob: Array, truth: Array, threshold: float) -> float:
    predicted = prob >= threshold
    tp = int(np.sum(predicted & (truth == 1)))
    return 2 * tp / (int(np.sum(predicted)) + int(np.sum(truth == 1)))


def random_epoch(seed: int, frames: int = 30, aus: int = 4) -> tuple[Array, Array, Array]:
    """Scores in sixteenths, so with many ties; the first two frames give every AU both classes."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((frames, aus)) < 0.3).astype(int)
    truth[:2] = [[0] * aus, [1] * aus]
    observed = rng.random((frames, aus)) < 0.8
    observed[:2] = True
    return rng.integers(0, 17, (frames, aus)) / 16, truth, observed


def test_threshold_lies_midway_between_the_best_score_and_the_next_lower_one() -> None:
    # F1 by cut: .9 2·1/(1+2) = .67, .6 2·2/(2+2) = 1, .3 2·2/(3+2) = .8
    assert tune_one([0.9, 0.6, 0.3], [1, 1, 0]) == pytest.approx(0.45)


def test_threshold_of_the_lowest_score_lies_midway_to_zero() -> None:
    # F1 by cut: .8 0, .6 2·1/(2+2) = .5, .3 2·2/(3+2) = .8
    assert tune_one([0.8, 0.6, 0.3], [0, 1, 1]) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.8, 0.6, 0.4, 0.2], 0.7),  # the cuts lie at .7 and .1
        ([0.98, 0.96, 0.5, 0.45], 0.225),  # the cuts lie at .97 and .225
        ([0.875, 0.625, 0.5, 0.5], 0.75),  # the cuts lie at .75 and .25, equally near: the higher
    ],
)
def test_cut_nearest_one_half_wins_among_equally_good_cuts(scores: list[float], expected: float) -> None:
    # F1 after the first score 2·1/(1+2), after all four 2·2/(4+2), lower between.
    assert tune_one(scores, [1, 0, 0, 1]) == pytest.approx(expected)


def test_lowest_score_of_zero_gives_threshold_zero() -> None:
    assert tune_one([0.0, 0.0], [1, 0]) == 0.0


@pytest.mark.parametrize("lower", [0.5, 0.3, 0.7, float(np.nextafter(1.0, 0.0)), 0.0])
def test_neighbouring_doubles_are_still_separated(lower: float) -> None:
    upper = float(np.nextafter(lower, 2.0))
    assert lower < tune_one([upper, lower], [1, 0]) <= upper


@pytest.mark.parametrize("seed", range(30))
def test_f1_at_the_tuned_threshold_is_the_maximum_of_a_brute_force_scan(seed: int) -> None:
    prob, truth, observed = random_epoch(seed)
    tuned = tune_thresholds(prob, truth, observed, 0.5)
    reached = occurrence_metrics(prob, truth, observed, tuned)["f1"]
    grid = np.arange(-1, 34) / 32
    for au in range(prob.shape[1]):
        seen = observed[:, au]
        scan = [f1_at(prob[seen, au], truth[seen, au], threshold) for threshold in grid]
        assert reached[au] == max(scan)


def test_f1_at_the_tuned_threshold_survives_numeric_noise() -> None:
    prob, truth, observed = random_epoch(7)
    prob = 0.1 + 0.8 * prob
    tuned = tune_thresholds(prob, truth, observed, 0.5)
    noisy = prob + np.random.default_rng(0).uniform(-1e-6, 1e-6, prob.shape)
    np.testing.assert_array_equal(
        occurrence_metrics(prob, truth, observed, tuned)["f1"],
        occurrence_metrics(noisy, truth, observed, tuned)["f1"],
    )


@pytest.mark.parametrize(("fallback", "expected"), [(0.4, 0.4), (np.array([0.1, 0.2, 0.3]), 0.2)])
@pytest.mark.parametrize("only", [0, 1])
def test_au_with_a_single_observed_class_gets_the_fallback(fallback: float | Array, expected: float, only: int) -> None:
    prob, truth, observed = random_epoch(8, aus=3)
    full = tune_thresholds(prob, truth, observed, fallback)
    observed[:, 1] &= truth[:, 1] == only
    np.testing.assert_array_equal(tune_thresholds(prob, truth, observed, fallback), [full[0], expected, full[2]])


def test_tuning_leaves_the_fallback_array_alone() -> None:
    prob, truth, observed = random_epoch(9, aus=2)
    fallback = np.array([0.25, 0.75])
    tune_thresholds(prob, truth, observed, fallback)
    assert fallback.tolist() == [0.25, 0.75]


def test_missing_entries_and_order_of_frames_have_no_influence() -> None:
    prob, truth, observed = random_epoch(10)
    expected = tune_thresholds(prob, truth, observed, 0.5)
    order = np.random.default_rng(0).permutation(len(prob))
    prob, truth = np.where(observed, prob, np.nan), np.where(observed, truth, -1)
    shuffled = tune_thresholds(prob[order], truth[order], observed[order], 0.5)
    np.testing.assert_array_equal(shuffled, expected)


def test_fallback_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(AssertionError, match="fallback must be scalar or"):
        tune_thresholds(*random_epoch(11, aus=2), fallback=np.zeros(3))
