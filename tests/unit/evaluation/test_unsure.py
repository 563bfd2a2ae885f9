"""Bands fitted to validation data, and their coverage in a test."""

from __future__ import annotations

import numpy as np
import pytest

from faceflow.calibration import PLATT, ProbabilitySettings
from faceflow.conformal import COVERAGE, Conformal
from faceflow.errors import ConfigError
from faceflow.evaluation.calibrated import check_probabilities, tune_payload
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.unsure import fit_conformal
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.conformal import covering_cut
from faceflow.models.checkpoint import Payload
from faceflow.report.unsure import HeldCoverage, held_frame
from tests.helpers.networks import label_table, network_spec

BANDS = ProbabilitySettings(coverage=0.8)
ROWS = 120


def scorer_of(
    aus: tuple[str, ...], *, probabilities: ProbabilitySettings = BANDS, subjects: int = 6, levels: int = 1
) -> SplitScorer:
    rng = np.random.default_rng(1)
    scores = {au: rng.integers(0, 6, ROWS).astype(float).tolist() for au in aus}
    scorer = SplitScorer(
        [label_table("faces", scores)], network_spec(aus=aus, levels=levels), probabilities=probabilities
    )
    scorer.subjects[:] = np.arange(ROWS) % subjects
    return scorer


def noisy(scorer: SplitScorer) -> Prediction:
    rng = np.random.default_rng(0)
    truth = scorer.pooled.truth
    p = 1 / (1 + np.exp(-(2 * truth.occurrence - 1 + rng.normal(0, 1.5, truth.occurrence.shape))))
    return Prediction(probability=p, intensity=np.clip(truth.intensity + rng.normal(0, 1, p.shape), 0, 5))


def test_a_band_ends_where_the_cuts_of_each_class_do() -> None:
    scorer = scorer_of(("AU1", "AU2"), levels=5)
    prediction = noisy(scorer)
    found = fit_conformal(scorer, np.arange(ROWS), prediction)
    assert found is not None
    p, occurs = prediction.probability[:, 1], scorer.pooled.truth.occurrence[:, 1]
    assert found.high["AU2"] == covering_cut(p[~occurs], scorer.subjects[~occurs], 0.8)
    assert found.low["AU2"] == -covering_cut(-p[occurs], scorer.subjects[occurs], 0.8)
    assert prediction.intensity is not None
    error = np.abs(prediction.intensity[:, 1] - scorer.pooled.truth.intensity[:, 1])
    assert found.radius["AU2"] == covering_cut(error, scorer.subjects, 0.8)
    assert (found.coverage, found.subjects, found.notes) == (0.8, 6, {})


def test_faces_without_a_label_and_rows_not_seen_are_left_out() -> None:
    scorer = scorer_of(("AU1",))
    prediction = noisy(scorer)
    scorer.tuned[0].truth.observed[:20] = False
    rows = np.arange(100)
    seen = Prediction(probability=prediction.probability[:100], intensity=None)
    found = fit_conformal(scorer, rows, seen)
    assert found is not None
    p, occurs = prediction.probability[:, 0], scorer.pooled.truth.occurrence[:, 0].copy()
    inside = ~occurs & (np.arange(ROWS) >= 20) & (np.arange(ROWS) < 100)
    assert found.high["AU1"] == covering_cut(p[inside], scorer.subjects[inside], 0.8)


def test_an_au_that_too_few_subjects_show_has_no_band() -> None:
    scorer = scorer_of(("AU1", "AU2"))
    truth = scorer.tuned[0].truth.occurrence
    truth[:, 0] = scorer.subjects < 2
    truth[:, 1] = scorer.subjects >= 2
    found = fit_conformal(scorer, np.arange(ROWS), noisy(scorer))
    assert found is not None
    assert found.low == found.high == {}
    assert found.notes == {
        "AU1": "fewer than 3 validation subjects show it",
        "AU2": "fewer than 3 validation subjects lack it",
    }


def test_bands_are_of_calibrated_probabilities() -> None:
    scorer = scorer_of(("AU1", "AU2"), probabilities=ProbabilitySettings(calibration=PLATT, coverage=0.8))
    plain = scorer_of(("AU1", "AU2"))
    prediction = noisy(scorer)
    payload = Payload(spec=scorer.spec, protocol={}, seen=[], config={}, versions={})
    tune_payload(payload, scorer, np.arange(ROWS), prediction)
    own = fit_conformal(plain, np.arange(ROWS), prediction)
    assert payload.calibration is not None
    assert payload.conformal is not None
    assert own is not None
    assert payload.conformal.low == pytest.approx(payload.calibration.thresholds(own.low))
    assert payload.protocol[COVERAGE].startswith("80 % of active")


def test_too_few_subjects_and_legacy_protocols_are_refused() -> None:
    with pytest.raises(ConfigError, match="^conformal_coverage: expected at least 3 known validation subjects, got 2;"):
        check_probabilities(scorer_of(("AU1",), subjects=2))
    scorer = scorer_of(("AU1",))
    scorer.known[:] = False
    with pytest.raises(ConfigError, match="^conformal_coverage: .* got 0;"):
        check_probabilities(scorer)
    scorer = scorer_of(("AU1",))
    scorer.threshold = 0.5
    with pytest.raises(ConfigError, match=r"^conformal_coverage: expected null with a legacy protocol.* got 0\.8;"):
        check_probabilities(scorer)


def test_what_is_held_is_counted_by_hand() -> None:
    scorer = scorer_of(("AU1",), levels=5)
    truth = scorer.pooled.truth
    truth.occurrence[:5, 0] = [True, True, True, False, False]
    truth.intensity[:5, 0] = [3, 4, 2, 0, 1]
    truth.observed[:] = False
    truth.observed[:5] = True
    p, z = np.zeros((ROWS, 1)), np.zeros((ROWS, 1))
    p[:5, 0], z[:5, 0] = [0.9, 0.5, 0.1, 0.05, 0.8], [3.5, 2, 2, 0, 1.5]
    band = Conformal(coverage=0.8, subjects=6, low={"AU1": 0.2}, high={"AU1": 0.6}, radius={"AU1": 1.0})
    held = HeldCoverage.measure(band, {"AU1": 0.45}, Prediction(probability=p, intensity=z), **vars(truth))
    assert held.faces == [5]
    assert {name: values.tolist() for name, values in held.shares.items()} == {
        "active_held": [pytest.approx(2 / 3)],  # 0.1 lies on the wrong side
        "inactive_held": [0.5],  # and 0.8
        "unsure": [pytest.approx(1 / 5)],  # 0.5
        "missed": [pytest.approx(1 / 3)],  # 0.1
        "missed_sure": [pytest.approx(1 / 3)],
        "false": [0.5],  # 0.8
        "false_sure": [0.5],
        "intensity_held": [pytest.approx(4 / 5)],  # 2 for a 4
        "radius": [1.0],
    }
    assert held_frame({"faces": held}).loc[0, "unsure"] == pytest.approx(1 / 5)


def test_an_au_without_a_band_or_labels_is_undefined() -> None:
    scorer = scorer_of(("AU1",))
    band = Conformal(coverage=0.8, subjects=6, low={}, high={})
    held = HeldCoverage.measure(band, {}, noisy(scorer), **vars(scorer.pooled.truth))
    assert np.isnan(held.shares["unsure"]).all()
    assert "radius" not in held.shares
