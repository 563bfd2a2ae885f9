"""Centred scores, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceflow.centring import LEAST_FRAMES, Centred, Centring, Rest, centred, centred_by_subject, rest_of, usual_rest

USUAL = Rest(np.array([-1.0]), np.array([0.5]))


def scores(logits: Any, intensities: Any = None) -> Centred:
    """Scores of one AU, (N, 1)."""
    probability = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    return Centred(probability[:, None], None if intensities is None else np.asarray(intensities, np.float64)[:, None])


def logits_of(found: Centred) -> Any:
    return np.log(found.probability[:, 0] / (1 - found.probability[:, 0]))


def test_the_median_is_taken_away_and_the_constant_added() -> None:
    # Odds 1, 2, 4 of one subject, median 2: less log 2, plus log 3, they are 3/2, 3, 6.
    own = scores(np.log([1, 2, 4]))
    usual = Rest(np.log([3.0]), None)
    found = centred(own, rest_of(own), usual)
    assert found.probability[:, 0].tolist() == pytest.approx([3 / 5, 3 / 4, 6 / 7])
    assert found.intensity is None


def test_intensities_are_centred_within_0_to_5() -> None:
    own = scores([0, 0, 0], [0.0, 1.0, 4.9])
    found = centred(own, rest_of(own), USUAL).intensity
    assert found is not None
    assert found[:, 0].tolist() == [0.0, 0.5, pytest.approx(4.4)]
    high = centred(scores([0], [5.0]), Rest(np.zeros(1), np.zeros(1)), USUAL).intensity
    assert high is not None
    assert high.tolist() == [[5.0]]


def test_the_usual_rest_is_the_mean_over_subjects_of_their_medians() -> None:
    logits = [-4, *[-3] * 7, 9, 1, 1, 1, 1, 2, 2, 2, 2, 8]
    subjects = ["a"] * 9 + ["b"] * 8 + ["c"]  # c has one frame
    found = usual_rest(scores(logits, np.arange(18.0)), subjects)
    assert found is not None
    assert found.logit.tolist() == pytest.approx([(-3 + 1.5) / 2])
    assert found.intensity is not None
    assert found.intensity.tolist() == [(4 + 12.5) / 2]
    assert usual_rest(scores(logits), np.arange(18)) is None


def test_a_constant_offset_on_all_logits_of_a_subject_changes_no_centred_score() -> None:
    rng = np.random.default_rng(0)
    logits, subjects = rng.normal(0, 2, 60), rng.permutation(np.repeat([0, 1, 2], 20))
    offsets = np.array([0.0, 1.5, -2.0])[subjects]
    plain = centred_by_subject(scores(logits), subjects, USUAL)
    shifted = centred_by_subject(scores(logits + offsets), subjects, USUAL)
    np.testing.assert_allclose(shifted.probability, plain.probability, atol=1e-12)


def test_subjects_never_mix() -> None:
    rng = np.random.default_rng(0)
    logits, intensities, subjects = rng.normal(0, 2, 40), rng.uniform(0, 5, 40), np.repeat(["a", "b"], 20)
    ours = subjects == "a"
    before = centred_by_subject(scores(logits, intensities), subjects, USUAL)
    after = centred_by_subject(scores(np.where(ours, logits, 7.0), np.where(ours, intensities, 0.0)), subjects, USUAL)
    assert before.intensity is not None
    assert after.intensity is not None
    assert after.probability[ours].tolist() == before.probability[ours].tolist()
    assert after.intensity[ours].tolist() == before.intensity[ours].tolist()
    assert (after.probability[~ours] != before.probability[~ours]).any()


def test_the_order_of_a_subject_s_frames_and_of_constants_is_kept() -> None:
    rng = np.random.default_rng(0)
    logits, subjects = rng.normal(0, 2, 40), np.repeat([0, 1], 20)
    found = [logits_of(centred_by_subject(scores(logits), subjects, Rest(np.array([m]), None))) for m in (-3.0, 0.0)]
    assert np.argsort(found[0]).tolist() == np.argsort(found[1]).tolist()
    assert np.argsort(found[0][:20]).tolist() == np.argsort(logits[:20]).tolist()


def test_subjects_of_few_frames_stay_as_they_are() -> None:
    subjects = np.repeat(["many", "few"], [LEAST_FRAMES, LEAST_FRAMES - 1])
    raw = scores(np.linspace(0, 2, len(subjects)))
    found = centred_by_subject(raw, subjects, USUAL)
    assert found.probability[LEAST_FRAMES:].tolist() == raw.probability[LEAST_FRAMES:].tolist()
    assert (found.probability[:LEAST_FRAMES] != raw.probability[:LEAST_FRAMES]).all()


def test_certain_scores_stay_finite_and_within_what_single_precision_tells_apart() -> None:
    sure = Centred(np.array([[0.0], [1e-30], [0.0], [1.0]]), None)
    found = centred(sure, rest_of(sure), Rest(np.zeros(1), None))
    assert logits_of(found).tolist() == pytest.approx([0, 0, 0, 20])


PLAIN = {"thresholds": {"AU1": 0.25}, "logit": {"AU1": -2.0}, "intensity": {"AU1": 0.5}}


def test_files_bring_back_what_was_written() -> None:
    found = Centring.from_dict(PLAIN, aus=["AU1"], graded=True)
    assert found.to_dict() == PLAIN
    usual = found.usual(["AU1"])
    assert usual.intensity is not None
    assert (usual.logit.tolist(), usual.intensity.tolist()) == ([-2.0], [0.5])
    assert Centring.from_dict(PLAIN | {"intensity": {}}, aus=["AU1"], graded=False).usual(["AU1"]).intensity is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (3, "that are not numbers per AU"),
        ({}, "that are not numbers per AU"),
        (PLAIN | {"logit": [1]}, "that are not numbers per AU"),
        (PLAIN | {"logit": {"AU1": "low"}}, "that are not numbers per AU"),
        (PLAIN | {"logit": {"AU1": 10**400}}, "that are not numbers per AU"),
        (PLAIN | {"logit": {"AU1": float("nan")}}, "out of range"),
        (PLAIN | {"thresholds": {"AU1": 1.5}}, "out of range"),
        (PLAIN | {"logit": {"AU2": 0.0}}, "no constants of centred scores for AU1"),
        (PLAIN | {"intensity": {}}, "no constants of centred scores for AU1"),
    ],
)
def test_invalid_constants_are_refused(raw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Centring.from_dict(raw, aus=["AU1"], graded=True)
