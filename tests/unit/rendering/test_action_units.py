"""Weights of shapes: how AUs add up, and their limits. All values are worked out by hand from the table."""

from __future__ import annotations

import functools

import pytest

from faceflow.rendering import action_units
from faceflow.rendering.action_units import AUS, BOTH_SIDES, SIDED, level, relaxed

shape_weights = functools.partial(action_units.shape_weights, exponent=0.85)
ONE = dict.fromkeys(AUS, 1.0)


def test_every_au_acts_on_sides_or_on_both_at_once() -> None:
    assert sorted((*SIDED, *BOTH_SIDES)) == sorted(AUS)


def test_an_au_at_its_strongest_has_the_weights_of_its_table() -> None:
    left = {**relaxed(), "AU6": 5.0}
    weights = shape_weights(left, relaxed(), ONE)
    assert {name: weight for name, weight in weights.items() if weight} == {
        "cheekSquint_L": 0.95,
        "cheekRaiser_L": 0.60,
    }


def test_a_weaker_au_follows_the_power_of_its_share() -> None:
    both = {**relaxed(), "AU1": 2.5}
    weights = shape_weights(both, both, ONE)
    expected = 1.35 * 0.5**0.85  # 0.7490
    assert weights == pytest.approx({"browInnerUp_L": expected, "browInnerUp_R": expected})
    straight = shape_weights(both, both, ONE, exponent=1.0)
    assert straight == pytest.approx({"browInnerUp_L": 0.675, "browInnerUp_R": 0.675})


def test_a_gain_scales_an_au_but_not_how_far_a_jaw_drops() -> None:
    both = {**relaxed(), "AU2": 5.0, "AU26": 5.0}
    weights = shape_weights(both, both, {**ONE, "AU2": 0.5, "AU26": 0.5})
    assert weights == pytest.approx({"browOuterUp_L": 0.55, "browOuterUp_R": 0.55, "jawOpen": 0.62})


def test_a_shape_of_both_sides_follows_the_stronger_side() -> None:
    weights = shape_weights({**relaxed(), "AU10": 5.0}, {**relaxed(), "AU10": 1.0}, ONE)
    assert weights["mouthShrugUpper"] == pytest.approx(0.25)
    assert weights["mouthUpperUp_R"] == pytest.approx(0.95 * 0.2**0.85)


def test_further_weights_are_added() -> None:
    left = {**relaxed(), "AU12": 5.0}
    assert shape_weights(left, relaxed(), ONE, [{"mouthSmile_L": 0.1}])["mouthSmile_L"] == pytest.approx(1.1)


def test_movers_of_a_mouth_corner_share_what_it_can_reach() -> None:
    left = {**relaxed(), "AU12": 5.0, "AU14": 5.0}
    weights = shape_weights(left, relaxed(), ONE)
    assert weights["mouthSmile_L"] == pytest.approx(1.00 * 1.55 / 2.20)
    assert weights["mouthDimple_L"] == pytest.approx(1.20 * 1.55 / 2.20)


def test_a_shut_eye_neither_squints_nor_widens() -> None:
    left = {**relaxed(), "AU45": 5.0, "AU7": 5.0}
    assert shape_weights(left, relaxed(), ONE)["eyeSquint_L"] == 0
    left = {**relaxed(), "AU45": 5.0, "AU5": 5.0}
    assert shape_weights(left, relaxed(), ONE)["eyeWide_L"] == 0


def test_a_lid_that_droops_leaves_room_for_a_squint_up_to_a_shut_eye() -> None:
    left = {**relaxed(), "AU7": 5.0}
    weights = shape_weights(left, relaxed(), ONE, [{"eyeBlink_L": 0.5}])
    assert weights["eyeSquint_L"] == pytest.approx(0.5 / 0.42)  # 0.5 + 0.42 * 1.45 would be 1.109


def test_a_sneer_and_a_raised_lip_do_not_exceed_the_nose() -> None:
    left = {**relaxed(), "AU9": 5.0, "AU10": 5.0}
    weights = shape_weights(left, relaxed(), ONE)  # 0.95 + 0.55 * 1.05 = 1.5275
    assert weights["mouthUpperUp_L"] == pytest.approx(1.35 - 0.55 * 1.05)


@pytest.mark.parametrize(("intensity", "expected"), [(0.0, 0), (0.49, 0), (0.5, 1), (2.49, 2), (2.5, 3), (5.0, 5)])
def test_a_level_is_the_nearest_one_and_halves_go_up(intensity: float, expected: int) -> None:
    assert level(intensity) == expected
