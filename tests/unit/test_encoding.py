from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from faceflow.encoding import (
    LabelScale,
    cutpoints,
    encode,
    expected_intensity,
    occurrence_probability,
    occurs,
    rank_consistent,
    to_facs,
)
from faceflow.errors import ConfigError

FACS = LabelScale(score_max=5, occurrence_min=2)
NORMALISED = LabelScale(score_max=1, occurrence_min=0.4)
BINARY = LabelScale(score_max=1, occurrence_min=1)
NAN = float("nan")


def bits(score: float, scale: LabelScale, levels: int) -> list[int]:
    code = encode(np.array([score]), scale, cutpoints(levels))
    assert code.shape == (1, levels)
    return [int(bit) for bit in code[0]]


def test_five_levels_cut_at_the_facs_intensities() -> None:
    assert cutpoints(5) == (1, 2, 3, 4, 5)


def test_one_level_is_occurrence_and_has_no_cutpoint() -> None:
    assert cutpoints(1) == ()


def test_chosen_cutpoints_are_kept() -> None:
    assert cutpoints(3, [1, 2.5, 5]) == (1.0, 2.5, 5.0)


def test_one_level_takes_no_cutpoint_of_the_user() -> None:
    with pytest.raises(ConfigError, match=r"cutpoints: expected null with levels=1, got \[2\]"):
        cutpoints(1, [2])


@pytest.mark.parametrize("levels", [0, -1, 2.0, "5", True, None])
def test_levels_must_be_a_whole_number_from_one(levels: object) -> None:
    with pytest.raises(ConfigError, match="levels: expected a whole number >= 1, got"):
        cutpoints(levels)  # type: ignore[arg-type]


@pytest.mark.parametrize("points", [[1], [1, 2, 3], [2, 1], [2, 2], [0, 2], [-1, 2], [1, 5.1], [1, NAN], [1, "a"]])
def test_chosen_cutpoints_must_rise_within_the_scale(points: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"cutpoints: expected 2 rising numbers in \(0, 5\], got"):
        cutpoints(2, points)


@pytest.mark.parametrize("score", range(6))
def test_five_levels_keep_every_facs_intensity(score: int) -> None:
    assert bits(score, FACS, 5) == [1] * score + [0] * (5 - score)


def test_a_score_at_its_cutpoint_switches_the_level_on() -> None:
    assert bits(3, FACS, 5) == [1, 1, 1, 0, 0]
    assert bits(2, FACS, 2) == [1, 0]
    assert bits(4, FACS, 2) == [1, 1]


def test_a_score_just_below_its_cutpoint_does_not() -> None:
    assert bits(2.999, FACS, 5) == [1, 1, 0, 0, 0]
    assert bits(1.999, FACS, 2) == [0, 0]


def test_a_score_at_the_occurrence_rule_occurs() -> None:
    assert bits(2, FACS, 1) == [1]
    assert occurs(np.array([2.0]), FACS).tolist() == [True]


def test_a_score_just_below_the_occurrence_rule_does_not_occur() -> None:
    assert bits(1.999, FACS, 1) == [0]
    assert occurs(np.array([1.999]), FACS).tolist() == [False]


@pytest.mark.parametrize("level", range(6))
def test_normalised_scores_mean_fifths(level: int) -> None:
    assert bits(level / 5, NORMALISED, 5) == [1] * level + [0] * (5 - level)


def test_normalised_six_tenths_is_facs_three() -> None:
    assert bits(0.6, NORMALISED, 5) == [1, 1, 1, 0, 0]
    assert bits(3 / 5, NORMALISED, 5) == bits(0.2 + 0.4, NORMALISED, 5) == [1, 1, 1, 0, 0]


def test_float32_noise_of_the_tool_that_wrote_the_labels_changes_nothing() -> None:
    noisy = float(np.float32(0.7) - np.float32(0.1))
    assert noisy < 0.6
    assert bits(noisy, NORMALISED, 5) == [1, 1, 1, 0, 0]
    below = float(np.float32(0.4) - np.float32(3e-8))
    assert below < 0.4
    assert occurs(np.array([below]), NORMALISED).tolist() == [True]
    assert bits(float(np.nextafter(np.float32(3), np.float32(0))), FACS, 5) == [1, 1, 1, 0, 0]


def test_zero_one_labels_are_their_own_code() -> None:
    assert [bits(score, BINARY, 1) for score in (0, 1)] == [[0], [1]]


def test_missing_scores_encode_as_zeros_never_nan() -> None:
    code = encode(np.array([[NAN, 5.0]]), FACS, cutpoints(5))
    assert code.shape == (1, 2, 5)
    assert code.dtype == np.float32
    np.testing.assert_array_equal(code[0], [[0] * 5, [1] * 5])
    assert occurs(np.array([NAN]), FACS).tolist() == [False]


def test_scores_go_to_facs_units() -> None:
    np.testing.assert_allclose(to_facs(np.array([0.0, 0.4, 1.0, NAN]), NORMALISED), [0, 2, 5, NAN])
    np.testing.assert_allclose(to_facs(np.array([0.0, 3.5]), FACS), [0, 3.5])


def test_a_scale_knows_whether_it_grades() -> None:
    assert BINARY.binary
    assert not FACS.binary
    assert not NORMALISED.binary
    assert str(BINARY) == "0/1 labels"
    assert str(FACS) == "occurrence = intensity >= 2 on a 0-5 scale"


def test_every_au_can_have_a_scale_of_its_own() -> None:
    scores = np.array([[1.0, 1.0, 0.5], [2.0, 0.0, NAN]])
    scales = (FACS, BINARY, NORMALISED)
    assert encode(scores, scales, ())[..., 0].tolist() == [[0, 1, 1], [1, 0, 0]]
    assert occurs(scores, scales).tolist() == [[False, True, True], [True, False, False]]
    np.testing.assert_allclose(to_facs(scores, scales), [[1, 5, 2.5], [2, 0, NAN]])
    assert encode(scores, scales, (2, 4)).tolist() == [[[0, 0], [1, 1], [1, 0]], [[1, 0], [0, 0], [0, 0]]]


def test_probabilities_fall_with_the_level_by_a_running_minimum() -> None:
    got = rank_consistent(np.array([[0.9, 0.5, 0.7, 0.1, 0.3], [0.2, 0.4, 0.6, 0.8, 1.0]]))
    np.testing.assert_allclose(got, [[0.9, 0.5, 0.5, 0.1, 0.1], [0.2] * 5])


def test_expected_intensity_sums_the_steps_between_cutpoints() -> None:
    # steps 1.5 and 2.5: 1.5 * 0.8 + 2.5 * 0.4
    np.testing.assert_allclose(expected_intensity(np.array([0.8, 0.4]), (1.5, 4.0)), 2.2)
    np.testing.assert_allclose(expected_intensity(np.array([[1, 1, 1, 0, 0.0]]), cutpoints(5)), [3])


def test_expected_intensity_is_rank_consistent_first() -> None:
    # (0.9, 0.5, 0.7, 0.1, 0.3) -> 0.9 + 0.5 + 0.5 + 0.1 + 0.1
    np.testing.assert_allclose(expected_intensity(np.array([0.9, 0.5, 0.7, 0.1, 0.3]), cutpoints(5)), 2.1)


@pytest.mark.parametrize("score", range(6))
def test_a_certain_code_decodes_to_the_score_it_came_from(score: int) -> None:
    code = encode(np.array([float(score)]), FACS, cutpoints(5)).astype(np.float64)
    np.testing.assert_allclose(expected_intensity(code, cutpoints(5)), [float(score)])


def test_occurrence_is_the_level_at_the_rule() -> None:
    probabilities = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    assert occurrence_probability(probabilities, cutpoints(5), 2) == 0.7
    assert occurrence_probability(probabilities, cutpoints(5), 1) == 0.9
    assert occurrence_probability(probabilities, cutpoints(5), 5) == 0.1


def test_occurrence_rule_with_rounding_noise_still_finds_its_level() -> None:
    probabilities = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    rule = 0.6000000000000001 * 5
    assert rule > 3
    assert occurrence_probability(probabilities, cutpoints(5), rule) == 0.5


def test_occurrence_is_rank_consistent_first() -> None:
    assert occurrence_probability(np.array([0.2, 0.7]), (1.0, 2.0), 2) == 0.2


def test_the_single_level_is_occurrence_whatever_the_rule() -> None:
    probabilities: npt.NDArray[np.float64] = np.array([[0.3], [0.8]])
    assert occurrence_probability(probabilities, (), 5).tolist() == [0.3, 0.8]
