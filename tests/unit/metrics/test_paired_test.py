"""Paired tests against SciPy, values worked out by hand, and simulated systems that are equal."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.intensity import icc
from faceflow.metrics.occurrence import accuracy, ap, auroc, f1, occurrence_metrics
from faceflow.metrics.paired_test import PairedTest, holm

Array = npt.NDArray[Any]


def two_systems(seed: int, *, subjects: int, frames: int, aus: int = 3) -> tuple[Array, Array, Array, Array]:
    """Subjects, truth and the probabilities of two equal systems; each misjudges subjects in its own way."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), frames)
    course = rng.normal(size=(subjects, frames, aus))
    for frame in range(1, frames):
        course[:, frame] = 0.9 * course[:, frame - 1] + np.sqrt(1 - 0.81) * course[:, frame]
    latent = course.reshape(-1, aus) + rng.normal(0, 0.5, (subjects, aus))[subject]
    cut = np.linspace(0.3, 1.3, aus)

    def system() -> Array:
        misjudged = rng.normal(0, 0.6, (subjects, aus))[subject] + rng.normal(0, 0.8, latent.shape)
        return np.asarray(1 / (1 + np.exp(cut - latent - misjudged)))

    return subject, (latent > cut).astype(float), system(), system()


def known(truth: Array) -> npt.NDArray[np.bool_]:
    return np.ones(truth.shape, np.bool_)


def test_a_prediction_does_not_differ_from_itself() -> None:
    subject, truth, ours, _ = two_systems(0, subjects=12, frames=20)
    test = PairedTest(subject, resamples=300, seed=0)
    found = [
        test.decisions(f1, ours >= 0.5, ours >= 0.5, truth, known(truth)),
        test.intensities(icc, 5 * ours, 5 * ours, 5 * truth, known(truth)),
        *test.rankings([ap, auroc], ours, ours, truth, known(truth)).values(),
    ]
    for each in found:
        for values in (each.difference.value, each.difference.low, each.difference.high):
            assert values.tolist() == [0, 0, 0]
        assert (float(each.mean.value), float(each.mean.low), float(each.mean.high)) == (0, 0, 0)
        assert each.p.tolist() == [1, 1, 1]
        assert each.mean_p == 1


def test_interval_and_p_of_a_mean_over_subjects_are_those_of_scipy() -> None:
    """With as many frames of everybody, accuracy is a mean over subjects."""
    subject, truth, ours, theirs = two_systems(3, subjects=8, frames=25, aus=1)
    right = [((each >= 0.5) == (truth == 1)).reshape(8, 25).mean(axis=1) for each in (ours, theirs)]
    differ = lambda one, other, axis=-1: other.mean(axis=axis) - one.mean(axis=axis)  # noqa: E731
    by_swaps = stats.permutation_test(right, differ, permutation_type="samples", n_resamples=256, vectorized=True)
    drawn = stats.bootstrap(right, differ, paired=True, n_resamples=20_000, method="percentile", rng=0)

    exact = PairedTest(subject, resamples=256, seed=0)
    assert exact.every_swap
    assert exact.least_p == 2 / 256
    found = exact.decisions(accuracy, ours >= 0.5, theirs >= 0.5, truth, known(truth))
    assert found.p[0] == pytest.approx(by_swaps.pvalue)
    assert found.difference.value[0] == pytest.approx(by_swaps.statistic)

    many = PairedTest(subject, resamples=20_000, seed=0)
    found = many.decisions(accuracy, ours >= 0.5, theirs >= 0.5, truth, known(truth))
    bounds = [found.difference.low[0], found.difference.high[0]]
    assert bounds == pytest.approx([*drawn.confidence_interval], abs=0.003)


def test_random_swaps_come_near_all_of_them() -> None:
    subject, truth, ours, theirs = two_systems(5, subjects=9, frames=20)
    exact, random = (PairedTest(subject, resamples=n, seed=0) for n in (512, 511))
    assert (exact.every_swap, random.every_swap) == (True, False)
    both = [each.decisions(f1, ours >= 0.4, theirs >= 0.5, truth, known(truth)) for each in (exact, random)]
    assert both[1].p == pytest.approx(both[0].p, abs=0.08)
    ranked = [each.rankings([ap], ours, theirs, truth, known(truth))["ap"] for each in (exact, random)]
    assert ranked[1].p == pytest.approx(ranked[0].p, abs=0.08)


def test_intervals_are_those_of_the_bootstrap_of_tests() -> None:
    subject, truth, ours, theirs = two_systems(1, subjects=9, frames=30)
    seen = np.random.default_rng(0).random(truth.shape) < 0.8
    cuts = np.array([0.4, 0.5, 0.6])
    whole = SubjectBootstrap(subject, resamples=200, seed=4).all_differences(
        (Prediction(probability=ours, intensity=5 * ours), cuts),
        (Prediction(probability=theirs, intensity=5 * theirs), cuts),
        occurrence=truth,
        intensity=5 * truth,
        observed=seen,
    )
    test = PairedTest(subject, resamples=200, seed=4)
    found = {
        "f1_val": test.decisions(f1, ours >= cuts, theirs >= cuts, truth, seen),
        "icc": test.intensities(icc, 5 * ours, 5 * theirs, 5 * truth, seen),
    }
    for name, each in found.items():
        for bound in ("value", "low", "high"):
            assert getattr(each.difference, bound) == pytest.approx(getattr(whole[name].per_au, bound))
            assert getattr(each.mean, bound) == pytest.approx(getattr(whole[name].mean, bound))


def test_rankings_equal_a_loop_over_resamples_and_swaps() -> None:
    subject, truth, ours, theirs = two_systems(2, subjects=4, frames=25, aus=2)
    seen = np.random.default_rng(1).random(truth.shape) < 0.9
    found = PairedTest(subject, resamples=30, seed=7).rankings([ap, auroc], ours, theirs, truth, seen)

    def scores(prob: Array, rows: Array, au: int) -> Array:
        of = occurrence_metrics(prob[rows, au][:, None], truth[rows, au][:, None], seen[rows, au][:, None], 0.5)
        return np.array([of["ap"][0], of["auroc"][0]])

    draws = np.random.default_rng(7).integers(0, 4, (30, 4))
    rows_of = [np.concatenate([np.flatnonzero(subject == n) for n in drawn]) for drawn in draws]
    for au in range(2):
        in_order = [np.zeros(len(subject)), np.zeros(len(subject))]  # shares of the faces with a lower score
        known_rows = seen[:, au]
        for each, out in zip((ours, theirs), in_order, strict=True):
            out[known_rows] = (stats.rankdata(each[known_rows, au], "min") - 1) / known_rows.sum()
        everybody = np.arange(len(subject))
        difference = scores(theirs, everybody, au) - scores(ours, everybody, au)
        drawn = np.array([scores(theirs, rows, au) - scores(ours, rows, au) for rows in rows_of])
        extreme = np.zeros(2)
        for swap in itertools.product((False, True), repeat=4):
            away = np.array(swap)[subject]
            one, other = (np.where(away, b, a)[:, None].repeat(2, axis=1) for a, b in (in_order, in_order[::-1]))
            extreme += np.abs(scores(other, everybody, au) - scores(one, everybody, au)) >= np.abs(difference) - 1e-12
        for place, name in enumerate(("ap", "auroc")):
            each = found[name]
            assert each.difference.value[au] == pytest.approx(difference[place])
            bounds = np.nanquantile(drawn[:, place], [0.025, 0.975])
            assert [each.difference.low[au], each.difference.high[au]] == pytest.approx(bounds)
            assert each.p[au] == pytest.approx(extreme[place] / 16)


def test_rankings_do_not_depend_on_the_scale_of_a_system() -> None:
    subject, truth, ours, theirs = two_systems(6, subjects=12, frames=20)
    test = PairedTest(subject, resamples=200, seed=0)
    plain, squeezed = (test.rankings([ap], ours, each, truth, known(truth))["ap"] for each in (theirs, theirs**3 / 100))
    assert plain.p.tolist() == squeezed.p.tolist()


def test_an_au_without_both_classes_has_no_score_and_leaves_the_mean_alone() -> None:
    subject, truth, ours, theirs = two_systems(0, subjects=7, frames=20)
    truth[:, 1] = 0
    test = PairedTest(subject, resamples=200, seed=0)
    whole = test.decisions(f1, ours >= 0.5, theirs >= 0.5, truth, known(truth))
    rest = test.decisions(f1, ours[:, ::2] >= 0.5, theirs[:, ::2] >= 0.5, truth[:, ::2], known(truth[:, ::2]))
    assert np.isnan([whole.p[1], whole.difference.value[1], whole.difference.low[1]]).all()
    assert (float(whole.mean.value), whole.mean_p) == (float(rest.mean.value), rest.mean_p)


def test_holm_is_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, np.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert holm([0.6, 0.5]).tolist() == [1, 1]
    assert holm([[0.02], [0.04]]).tolist() == [[0.04], [0.04]]
    assert holm([]).shape == (0,)


def test_a_clear_difference_is_found() -> None:
    subject, truth, ours, theirs = two_systems(0, subjects=20, frames=20)
    better = 0.6 * truth + 0.4 * theirs
    found = PairedTest(subject, resamples=500, seed=0).decisions(f1, ours >= 0.5, better >= 0.5, truth, known(truth))
    assert (holm(found.p) <= 0.01).all()
    assert (found.difference.low > 0).all()


def test_of_two_equal_systems_a_difference_is_found_in_at_most_16_of_200_cases() -> None:
    """The 5 % level promises 10; more than 16 of 200 would come up in one of 40 tries."""
    means, any_au = 0, 0
    for case in range(200):
        subject, truth, ours, theirs = two_systems(case, subjects=16, frames=15, aus=6)
        test = PairedTest(subject, resamples=400, seed=case)
        found = test.decisions(f1, ours >= 0.5, theirs >= 0.5, truth, known(truth))
        means += found.mean_p <= 0.05
        any_au += bool((holm(found.p) <= 0.05).any())
    assert means <= 16
    assert any_au <= 16
