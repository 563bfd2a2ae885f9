"""Thresholds averaged over bootstrap resamples."""

import numpy as np

from faceflow.metrics.thresholds import bagged_thresholds, tune_thresholds


def scores(seed=0, rows=400):
    rng = np.random.default_rng(seed)
    truth = rng.random((rows, 3)) < (0.05, 0.2, 0.5)
    prob = 1 / (1 + np.exp(-(2.0 * truth + rng.normal(-1.0, 1.0, truth.shape))))
    return prob, truth, np.ones_like(truth)


def test_without_resamples_it_is_the_plain_threshold():
    prob, truth, observed = scores()
    plain = tune_thresholds(prob, truth, observed, np.nan)
    np.testing.assert_array_equal(bagged_thresholds(prob, truth, observed, resamples=0, seed=0), plain)


def test_it_is_the_mean_over_resamples_drawn_with_the_seed():
    prob, truth, observed = scores()
    rng = np.random.default_rng(7)
    draws = [np.arange(len(prob)), *(rng.integers(0, len(prob), len(prob)) for _ in range(3))]
    expected = np.mean([tune_thresholds(prob[d], truth[d], observed[d], np.nan) for d in draws], axis=0)
    np.testing.assert_allclose(bagged_thresholds(prob, truth, observed, resamples=3, seed=7), expected, rtol=1e-12)


def test_ties_and_missing_labels_count_as_where_each_resample_is_sorted_alone():
    prob, truth, observed = scores()
    prob, observed = np.round(prob, 1), np.random.default_rng(1).random(prob.shape) < 0.8
    rng = np.random.default_rng(7)
    draws = [np.arange(len(prob)), *(rng.integers(0, len(prob), len(prob)) for _ in range(5))]
    expected = np.mean([tune_thresholds(prob[d], truth[d], observed[d], np.nan) for d in draws], axis=0)
    np.testing.assert_array_equal(bagged_thresholds(prob, truth, observed, resamples=5, seed=7), expected)


def test_an_au_of_one_class_has_none_and_a_single_positive_is_enough():
    prob, truth, observed = scores(rows=40)
    truth[:, 0] = False
    truth[:, 1] = False
    truth[0, 1] = True
    found = bagged_thresholds(prob, truth, observed, resamples=20, seed=0)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()


def test_the_thresholds_of_two_samples_lie_closer_together_than_plain_ones():
    plain, bagged = [], []
    for seed in range(40):
        prob, truth, observed = scores(seed, rows=150)
        plain.append(tune_thresholds(prob, truth, observed, np.nan))
        bagged.append(bagged_thresholds(prob, truth, observed, resamples=30, seed=0))
    assert (np.nanstd(bagged, axis=0) < np.nanstd(plain, axis=0)).all()
