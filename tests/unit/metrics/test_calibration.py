"""Maps against scikit-learn, calibration error and Brier score against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from faceflow.calibration import PLATT, TEMPERATURE, Calibration, logit
from faceflow.encoding import Array
from faceflow.metrics.calibration import (
    NO_GAIN,
    ONE_CLASS,
    REVERSED,
    AUMap,
    binomial_deviation,
    brier_scores,
    calibration_errors,
    calibration_floors,
    fit_coefficients,
    fit_map,
)


def overconfident(*, faces: int = 4000, slope: float = 0.5, offset: float = -0.7) -> tuple[Array, Array, Array]:
    """Logits of a network whose true ones are `slope` z + `offset`, labels, and who is on each face."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, faces)
    truth = rng.random(faces) < 1 / (1 + np.exp(-(slope * z + offset)))
    return z, truth, np.arange(faces) % 8


@pytest.mark.parametrize("method", [PLATT, TEMPERATURE])
def test_coefficients_are_those_of_scikit_learn(method: str) -> None:
    z, truth, _ = overconfident(faces=300)
    positives = truth.sum()
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (300 - positives + 2))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, fit_intercept=method == PLATT)
    model.fit(np.tile(z, 2)[:, None], np.repeat([True, False], 300), np.concatenate([target, 1 - target]))
    found = fit_coefficients(z, truth, method=method)
    assert found == pytest.approx((model.coef_[0, 0], float(np.ravel(model.intercept_)[0])), abs=1e-4)


def test_the_true_map_is_found() -> None:
    found = fit_map(*overconfident(faces=40000), method=PLATT)
    assert (found.slope, found.offset) == pytest.approx((0.5, -0.7), abs=0.03)
    assert not found.note


def test_separated_classes_have_finite_coefficients() -> None:
    z = np.array([-9.0, -8.0, 8.0, 9.0])
    for method in (PLATT, TEMPERATURE):
        slope, offset = fit_coefficients(z, z > 0, method=method)
        assert 0 < slope < 1
        assert offset == pytest.approx(0, abs=1e-6)  # two faces of each class on mirrored logits
    huge = fit_coefficients(np.array([-60.0, 60.0, 55.0]), np.array([True, True, False]), method=PLATT)
    assert np.isfinite(huge).all()


def test_aus_that_cannot_be_fitted_are_unchanged() -> None:
    z, truth, who = overconfident(faces=200)
    assert fit_map(z, np.zeros(200, bool), who, method=PLATT) == AUMap(note=ONE_CLASS)
    assert fit_map(-z, truth, who, method=PLATT) == AUMap(note=REVERSED)


def test_a_map_that_held_out_subjects_do_not_confirm_is_not_taken() -> None:
    # Three subjects with base rates that have nothing to do with each other, and logits that say nothing.
    z = np.tile([-0.1, 0.1], 30)
    who = np.repeat([0, 1, 2], 20)
    truth = np.tile([False, True], 30)
    truth[:20], truth[20:40] = True, False
    assert fit_map(z, truth, who, method=PLATT).note == NO_GAIN
    two = who.clip(0, 1)
    assert not fit_map(z, truth, two, method=PLATT).note  # two subjects confirm nothing


def test_errors_by_hand_pass_over_missing_labels() -> None:
    probability = np.array([[0.1, 0.5], [0.1, np.nan], [0.9, np.nan], [0.3, np.nan]])
    truth = np.array([[0, 0], [1, 0], [1, 0], [1, 0]], bool)
    observed = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], bool)
    # Bins of width 1/15: 0.1, 0.1 in one (half of them occur), 0.9 in another.
    np.testing.assert_allclose(calibration_errors(probability, truth, observed), [(2 * 0.4 + 0.1) / 3, np.nan])
    np.testing.assert_allclose(brier_scores(probability, truth, observed), [(0.01 + 0.81 + 0.01) / 3, np.nan])
    z, labels, _ = overconfident(faces=100)
    p = 1 / (1 + np.exp(-z))
    found = brier_scores(p[:, None], labels[:, None], np.ones((100, 1), bool))
    assert found[0] == pytest.approx(brier_score_loss(labels, p))


def test_calibration_makes_both_errors_smaller() -> None:
    z, truth, who = overconfident()
    found = fit_map(z[:2000], truth[:2000], who[:2000], method=PLATT)
    maps = Calibration(method=PLATT, subjects=8, chosen=True, slope={"AU1": found.slope}, offset={"AU1": found.offset})
    raw, seen = 1 / (1 + np.exp(-z[2000:, None])), np.ones((2000, 1), bool)
    after = maps.apply(raw, ["AU1"])
    np.testing.assert_allclose(logit(maps.undo(after, ["AU1"])), logit(raw), atol=1e-6)
    labels = truth[2000:, None]
    assert calibration_errors(after, labels, seen) < 0.5 * calibration_errors(raw, labels, seen)
    assert brier_scores(after, labels, seen) < brier_scores(raw, labels, seen)


@pytest.mark.parametrize(("count", "p"), [(1, 0.5), (3, 0.1), (10, 0.3), (40, 0.5), (7, 0.99), (5, 0.0), (5, 1.0)])
def test_the_deviation_of_a_binomial_is_the_sum_over_its_outcomes(count: int, p: float) -> None:
    chances = [math.comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(count + 1)]
    expected = sum(chance * abs(k - count * p) for k, chance in enumerate(chances))
    assert binomial_deviation(count, p) == pytest.approx(expected, abs=1e-12)


def test_the_floor_is_what_exact_probabilities_have_on_average() -> None:
    """Probabilities within a bin are taken for their mean, which the simulation does not do."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, (300, 1))
    seen = np.ones_like(p, bool)
    simulated = [calibration_errors(p, rng.random(p.shape) < p, seen)[0] for _ in range(400)]
    assert calibration_floors(p, p > 0.5, seen)[0] == pytest.approx(np.mean(simulated), rel=0.05)
