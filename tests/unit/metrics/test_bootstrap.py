"""Intervals over subjects against a plain loop that resamples rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.bootstrap import Estimate, SubjectBootstrap
from faceflow.metrics.intensity import icc, intensity_metrics
from faceflow.metrics.occurrence import f1, macro, occurrence_metrics

Array = npt.NDArray[Any]
RESAMPLES = 40


def frames(seed: int = 0, *, subjects: int = 6) -> tuple[Array, Array, Array, Array]:
    """Subjects with unequal counts of frames, scores, truth and which of it is known."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat([f"p{n}" for n in range(subjects)], rng.integers(5, 30, subjects)))
    score = rng.random((len(who), 3))
    truth = (score + rng.normal(0, 0.6, score.shape) > 0.6).astype(float)
    return who, score, truth, rng.random(score.shape) < 0.8


def resampled(who: Array, seed: int) -> list[Array]:
    """Row numbers of every resample: all frames of each subject as often as drawn."""
    names = sorted(set(who.tolist()))
    draws = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    return [np.concatenate([np.flatnonzero(who == names[n]) for n in drawn]) for drawn in draws]


def bounds(values: Array) -> Array:
    return np.nanquantile(values, [0.025, 0.975], axis=0)


def assert_like_loop(found: Estimate, whole: Array, draws: Array) -> None:
    assert found.per_au.value == pytest.approx(whole, nan_ok=True)
    assert [found.per_au.low, found.per_au.high] == pytest.approx(bounds(draws))
    assert float(found.mean.value) == pytest.approx(macro(whole))
    means = np.array([macro(draw) for draw in draws])
    assert [float(found.mean.low), float(found.mean.high)] == pytest.approx(bounds(means))


def test_f1_equals_a_loop_over_resampled_rows() -> None:
    who, score, truth, observed = frames()
    cuts = np.array([0.3, 0.5, 0.7])
    found = SubjectBootstrap(who, resamples=RESAMPLES, seed=5).decisions(f1, score >= cuts, truth, observed)

    def loop(rows: Array) -> Array:
        return occurrence_metrics(score[rows], truth[rows], observed[rows], cuts)["f1"]

    assert_like_loop(found, loop(np.arange(len(who))), np.array([loop(rows) for rows in resampled(who, 5)]))
    assert np.all((found.per_au.low < found.per_au.value) & (found.per_au.value < found.per_au.high))


def test_icc_equals_a_loop_over_resampled_rows() -> None:
    who, score, truth, observed = frames(1)
    prediction, intensity = 5 * score, 1000 + np.round(5 * np.where(observed, truth * score, np.nan))
    found = SubjectBootstrap(who, resamples=RESAMPLES, seed=5).intensities(icc, prediction, intensity, observed)
    known = np.where(observed, intensity, 0.0)

    def loop(rows: Array) -> Array:
        return intensity_metrics(prediction[rows], known[rows], observed[rows])["icc"]

    assert_like_loop(found, loop(np.arange(len(who))), np.array([loop(rows) for rows in resampled(who, 5)]))


def test_a_difference_equals_a_loop_that_scores_both_on_the_same_subjects() -> None:
    who, score, truth, observed = frames(2)
    other = np.clip(score + np.random.default_rng(3).normal(0, 0.2, score.shape), 0, 1)
    cuts = np.array([0.3, 0.5, 0.7]), np.array([0.4, 0.6, 0.6])
    predictions = [Prediction(probability=each, intensity=5 * each) for each in (score, other)]
    found = SubjectBootstrap(who, resamples=RESAMPLES, seed=5).all_differences(
        (predictions[0], cuts[0]), (predictions[1], cuts[1]), occurrence=truth, intensity=5 * truth, observed=observed
    )

    def f1s(rows: Array) -> Array:
        first, second = (
            occurrence_metrics(each[rows], truth[rows], observed[rows], cut)["f1"]
            for each, cut in zip((score, other), cuts, strict=True)
        )
        return second - first

    def iccs(rows: Array) -> Array:
        first, second = (
            intensity_metrics(5 * each[rows], 5 * truth[rows], observed[rows])["icc"] for each in (score, other)
        )
        return second - first

    everybody = np.arange(len(who))
    for name, loop in (("f1_val", f1s), ("icc", iccs)):
        assert_like_loop(found[name], loop(everybody), np.array([loop(rows) for rows in resampled(who, 5)]))


def test_icc_of_an_au_that_nobody_shows_is_undefined_and_not_in_the_mean() -> None:
    who, score, _, observed = frames(1)
    intensity = np.round(5 * score) + 0.1
    intensity[:, 1] = 0.1  # a constant whose mean is rounded
    bootstrap = SubjectBootstrap(who, resamples=RESAMPLES, seed=0)
    found = bootstrap.intensities(icc, 5 * score, intensity, observed)
    alone = bootstrap.intensities(icc, *(a[:, [0, 2]] for a in (5 * score, intensity, observed)))
    assert np.isnan([found.per_au.value[1], found.per_au.low[1], found.per_au.high[1]]).all()
    assert np.isfinite(alone.mean.value)
    for bound in ("value", "low", "high"):
        assert getattr(found.mean, bound) == pytest.approx(getattr(alone.mean, bound), rel=1e-12)
    constant = bootstrap.intensities(icc, np.zeros_like(score), intensity, observed)
    assert constant.per_au.value[[0, 2]].tolist() == [0, 0]


def test_draws_do_not_depend_on_how_many_fit_into_memory() -> None:
    subjects, resamples = 20_000, 240  # 4.8 million draws, of which 4 million are held at once
    rng = np.random.default_rng(0)
    called, truth = rng.random((2, subjects, 1)) < 0.5  # one frame per subject
    in_parts = SubjectBootstrap(np.arange(subjects), resamples=resamples, seed=0)
    found = in_parts.decisions(f1, called, truth, np.ones_like(truth))
    draws = np.random.default_rng(0).integers(0, subjects, (resamples, subjects))
    hits, calls, positives = (flags[:, 0][draws].sum(axis=1) for flags in (called & truth, called, truth))
    low, high = np.quantile(2 * hits / (calls + positives), [0.025, 0.975])
    assert [found.per_au.low.item(), found.per_au.high.item()] == pytest.approx([low, high], rel=1e-12)


def test_another_seed_draws_other_subjects() -> None:
    who, score, truth, observed = frames()
    one, other = (
        SubjectBootstrap(who, resamples=RESAMPLES, seed=seed).decisions(f1, score > 0.5, truth, observed)
        for seed in (0, 1)
    )
    assert other.per_au.low.tolist() != one.per_au.low.tolist()


def test_an_au_without_both_classes_has_no_value_and_is_not_in_the_mean() -> None:
    who, score, truth, observed = frames()
    truth[:, 1] = 0
    found = SubjectBootstrap(who, resamples=RESAMPLES, seed=0).decisions(f1, score > 0.5, truth, observed)
    without = SubjectBootstrap(who, resamples=RESAMPLES, seed=0).decisions(
        f1, *(a[:, [0, 2]] for a in (score > 0.5, truth, observed))
    )
    assert np.isnan([found.per_au.value[1], found.per_au.low[1], found.per_au.high[1]]).all()
    assert (found.mean.value, found.mean.low, found.mean.high) == (
        without.mean.value,
        without.mean.low,
        without.mean.high,
    )


def test_resamples_that_lose_the_only_positive_subject_are_passed_over() -> None:
    who, score, truth, observed = frames()
    truth[:, 0] = np.where(who == "p3", truth[:, 0], 0)
    found = SubjectBootstrap(who, resamples=RESAMPLES, seed=0).decisions(f1, score > 0.5, truth, observed)
    assert 0 < found.per_au.low[0] <= found.per_au.value[0]


@pytest.mark.parametrize(("subjects", "resamples"), [(1, RESAMPLES), (6, 0)])
def test_one_subject_or_no_resample_gives_the_value_alone(subjects: int, resamples: int) -> None:
    who, score, truth, observed = frames(subjects=subjects)
    found = SubjectBootstrap(who, resamples=resamples, seed=0).decisions(f1, score > 0.5, truth, observed)
    assert np.isfinite(found.per_au.value).all()
    assert np.isnan([found.per_au.low, found.per_au.high]).all()
    assert np.isnan([found.mean.low, found.mean.high]).all()


def test_intervals_hold_the_value_of_the_population_about_as_often_as_they_say() -> None:
    """Subjects differ in how well they are recognised, so that intervals over frames would be far too narrow."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(150):
        skill = rng.beta(4, 2, 30)
        who = np.repeat(np.arange(30), 40)
        truth = rng.random((1200, 1)) < 0.5
        predicted = np.where(rng.random((1200, 1)) < skill[who][:, None], truth, ~truth)
        interval = (
            SubjectBootstrap(who, resamples=200, seed=0).decisions(f1, predicted, truth, np.ones_like(truth)).per_au
        )
        # E[tp] = mean skill / 2, E[fp] = E[fn] = (1 - mean skill) / 2: F1 is the mean skill, 4 / 6.
        held += bool(interval.low[0] <= 4 / 6 <= interval.high[0])
    assert 0.88 <= held / 150 <= 0.99
