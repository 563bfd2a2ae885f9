"""F1 of guessing without looking, against sklearn and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from faceflow.metrics.guesses import always_f1, guessed_f1, prior_f1


def test_always_predicting_yes() -> None:
    truth = np.repeat([1, 0], [35, 165])
    assert always_f1(0.175) == pytest.approx(f1_score(truth, np.ones(200)))


def test_guessing_as_often_as_an_au_occurs() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.random((2, 400_000)) < 0.2
    assert f1_score(truth, guess) == pytest.approx(float(prior_f1(0.2)), abs=0.005)


def test_an_au_without_both_classes_has_no_f1() -> None:
    always, prior = guessed_f1([0, 5, 2, 0], [5, 5, 5, 0])
    assert always.tolist() == pytest.approx([np.nan, np.nan, 0.8 / 1.4, np.nan], nan_ok=True)
    assert prior.tolist() == pytest.approx([np.nan, np.nan, 0.4, np.nan], nan_ok=True)
