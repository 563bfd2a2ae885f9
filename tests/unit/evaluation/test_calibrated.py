"""Calibration fitted to validation data, and cases in which it is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from faceflow.calibration import NONE, PLATT, ProbabilitySettings
from faceflow.errors import ConfigError
from faceflow.evaluation.calibrated import check_probabilities, fit_calibration, tune_payload
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.calibration import ONE_CLASS
from faceflow.models.checkpoint import Payload
from tests.helpers.networks import label_table, network_spec

SIDED = ("AU1", "AU12_L", "AU12_R")


def noisy(scorer: SplitScorer, *, seed: int = 0) -> Prediction:
    """Overconfident probabilities of labels that are wrong at times."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(0, 1, (scorer.total, len(scorer.spec.aus)))
    return Prediction(probability=1 / (1 + np.exp(-z)), intensity=None)


def scorer_of(
    aus: tuple[str, ...], *, calibration: str, rows: int = 120, threshold: float | None = None
) -> SplitScorer:
    rng = np.random.default_rng(1)
    scores = {au: (5.0 * (rng.random(rows) < 0.4)).tolist() for au in aus}
    spec = network_spec(aus=aus)
    return SplitScorer(
        [label_table("faces", scores)],
        spec,
        probabilities=ProbabilitySettings(calibration=calibration),
        threshold=threshold,
    )


def test_calibration_none_fits_nothing() -> None:
    scorer = scorer_of(("AU1",), calibration=NONE)
    assert fit_calibration(scorer, np.arange(120), noisy(scorer)) is None


def test_sides_share_a_map_and_no_decision_changes() -> None:
    scorer, rows = scorer_of(SIDED, calibration=PLATT), np.arange(120)
    prediction = noisy(scorer)
    plain = scorer.tune(rows, prediction)
    payload = Payload(spec=scorer.spec, protocol={}, seen=[], config={}, versions={}, thresholds=dict(plain))
    tune_payload(payload, scorer, rows, prediction)
    found = payload.calibration
    assert found is not None
    assert found.slope["AU12_L"] == found.slope["AU12_R"] == found.slope["AU12"]
    assert set(payload.thresholds) == {"AU1", "AU12", "AU12_L", "AU12_R"}
    after = Prediction(probability=found.apply(prediction.probability, SIDED), intensity=None)
    for name, evaluation in scorer.score(rows, prediction, plain).items():
        same = scorer.score(rows, after, payload.thresholds)[name]
        np.testing.assert_array_equal(same.columns["f1_val"], evaluation.columns["f1_val"])
        np.testing.assert_array_equal(same.columns["auroc"], evaluation.columns["auroc"])


def test_an_au_without_both_classes_stays_as_it_is() -> None:
    spec = network_spec(aus=("AU1", "AU2"))
    scores = {"AU1": [0.0] * 40, "AU2": [0.0, 5.0, 5.0, 0.0] * 10}
    scorer = SplitScorer([label_table("faces", scores)], spec, probabilities=ProbabilitySettings(calibration=PLATT))
    found = fit_calibration(scorer, np.arange(40), noisy(scorer))
    assert found is not None
    assert (found.slope["AU1"], found.offset["AU1"]) == (1, 0)
    assert found.notes["AU1"] == ONE_CLASS


def test_levels_are_calibrated_and_intensities_follow() -> None:
    """Levels of a network that is too sure; the mean intensity of the calibrated ones is that of the labels."""
    rng, rows = np.random.default_rng(3), np.arange(2000)
    graded = rng.integers(0, 6, len(rows)).astype(float)
    spec = network_spec(aus=("AU1",), levels=5)
    asked = ProbabilitySettings(calibration=PLATT)
    scorer = SplitScorer([label_table("faces", {"AU1": graded.tolist()})], spec, probabilities=asked)
    scorer.subjects[:] = rows % 8
    z = 4 * (graded[:, None] - np.arange(1, 6) + 2 + rng.normal(0, 1, (len(rows), 1)))
    levels = 1 / (1 + np.exp(-np.clip(z, -30, 30)))[:, None]
    prediction = scorer.decode(levels)
    payload = Payload(spec=spec, protocol={}, seen=[], config={}, versions={}, thresholds=scorer.tune(rows, prediction))
    tune_payload(payload, scorer, rows, prediction)
    found = payload.calibration
    assert found is not None
    intensity = scorer.decode(found.of_levels(np.clip(z, -30, 30)[:, None], ("AU1",))).intensity
    assert intensity is not None
    assert prediction.intensity is not None
    assert prediction.intensity.mean() > graded.mean() + 0.5
    assert intensity.mean() == pytest.approx(graded.mean(), abs=0.05)
    assert np.abs(intensity[:, 0] - graded).mean() < 0.7 * np.abs(prediction.intensity[:, 0] - graded).mean()
    centring = payload.centring
    assert centring is not None
    assert centring.intensity["AU1"] != scorer.centring(rows, prediction).intensity["AU1"]  # type: ignore[union-attr]


def test_a_legacy_protocol_is_refused_and_few_subjects_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="^probability_calibration: expected none with a legacy protocol.*; leave it"):
        check_probabilities(scorer_of(("AU1",), calibration=PLATT, threshold=0.5))
    check_probabilities(scorer_of(("AU1",), calibration=NONE, threshold=0.5))
    scorer = scorer_of(("AU1",), calibration=PLATT)
    scorer.known[:], scorer.subjects[:] = True, np.arange(120) % 2
    with caplog.at_level(logging.WARNING):
        check_probabilities(scorer)
    assert "validation has only 2 known subjects" in caplog.text
    found = fit_calibration(scorer, np.arange(120), noisy(scorer))
    assert found is not None
    assert (found.subjects, found.chosen) == (2, False)
