"""Sampling of AUs, and which AUs exclude each other; cases worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.rendering.action_units import AUS, BOTH_SIDES, relaxed
from faceflow.rendering.expressions import EVENTS, ExpressionRates, resolve, sample_expression


def rates(**values: float) -> ExpressionRates:
    return ExpressionRates(
        **{"neutral": 0.2, "two_events": 0.34, "blink": 0.05, "one_sided": 0.15, "uneven": 0.0, "aus": None, **values}
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"AU45": 4, "AU5": 3, "AU7": 2}, {"AU45": 4, "AU7": 0.6}),  # a shut eye is not wide, and hides its squint
        ({"AU5": 4, "AU7": 2}, {"AU5": 4, "AU7": 0.7}),  # the weaker one gives way
        ({"AU5": 1, "AU7": 2}, {"AU5": 0.35, "AU7": 2}),
        ({"AU5": 2, "AU6": 5}, {"AU5": 2, "AU6": 2}),
        ({"AU24": 3, "AU25": 2}, {"AU24": 3}),  # pressed lips do not part
        ({"AU24": 2, "AU25": 3}, {"AU25": 3}),
        ({"AU24": 2, "AU28": 3}, {"AU28": 3}),
        ({"AU28": 3, "AU12": 2, "AU17": 4, "AU10": 1}, {"AU28": 3, "AU12": 0.8}),
        ({"AU22": 4, "AU12": 2, "AU15": 5}, {"AU22": 4, "AU12": 0.6, "AU15": 5}),
        ({"AU26": 2, "AU17": 3}, {"AU26": 2, "AU25": 2.5}),  # a dropped jaw parts the lips: 1 + 0.75 * 2
        ({"AU26": 5, "AU25": 1}, {"AU26": 5, "AU25": 4.75}),
        ({"AU14": 5, "AU20": 5}, {"AU14": 3.5, "AU20": 3.5}),  # 7 for all movers of the corner
        ({"AU12": 3, "AU15": 2}, {"AU12": 3, "AU15": 1}),
        ({"AU9": 5, "AU10": 4}, {"AU9": 5, "AU10": 3}),
        ({"AU1": 0.2}, {}),  # too weak to be seen
        ({"AU1": 3, "AU2": 4, "AU4": 2}, {"AU1": 3, "AU2": 4, "AU4": 2}),
    ],
)
def test_aus_that_exclude_each_other_are_resolved(given: Mapping[str, float], expected: Mapping[str, float]) -> None:
    intensities = {**relaxed(), **given}
    resolve(intensities)
    assert intensities == pytest.approx({**relaxed(), **expected})


def test_events_name_aus_that_can_be_rendered_with_probabilities() -> None:
    parts = [part for event in EVENTS.values() for part in event]
    assert {part.au for part in parts} == set(AUS)
    assert all(0 < part.probability <= 1 and 0 < part.lowest < part.highest for part in parts)


def test_neutral_faces_are_as_many_as_their_share() -> None:
    rng = np.random.default_rng(0)
    neutral = sum(max(sample_expression(rng, rates(neutral=0.3))[0].values()) == 0 for _ in range(4000))
    assert neutral / 4000 == pytest.approx(0.3, abs=0.03)  # four standard deviations; events rarely leave nothing


def test_all_sides_agree_within_a_tenth_unless_one_is_weaker() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        left, right = sample_expression(rng, rates(one_sided=0))
        assert all(right[au] == pytest.approx(left[au], rel=0.081) or right[au] == 5 for au in AUS)
        assert all(right[au] == left[au] for au in BOTH_SIDES)


def test_a_weaker_side_is_the_left_one_as_often_as_the_right_one() -> None:
    rng = np.random.default_rng(2)
    found = [sample_expression(rng, rates(neutral=0, one_sided=1)) for _ in range(2000)]
    sums = np.array([[sum(side.values()) for side in both] for both in found])
    weaker = np.sign(sums[:, 0] - sums[:, 1])
    assert abs((weaker > 0).sum() - (weaker < 0).sum()) < 4 * np.sqrt((weaker != 0).sum())


def test_only_aus_that_are_asked_for_are_drawn() -> None:
    rng = np.random.default_rng(3)
    asked = ExpressionRates(neutral=0, two_events=1, blink=0.5, one_sided=0, uneven=0, aus=["AU12", "AU6"])
    shown = {au for _ in range(500) for au, value in sample_expression(rng, asked)[0].items() if value}
    assert shown == {"AU6", "AU12"}


def test_more_events_show_more_aus() -> None:
    def share(two_events: float) -> float:
        rng = np.random.default_rng(4)
        values = [list(sample_expression(rng, rates(two_events=two_events))[0].values()) for _ in range(500)]
        return float((np.array(values) > 0).mean())

    assert share(1.0) > 1.3 * share(0.0)


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"expression\.neutral: expected a share in 0\.\.1, got 2"):
        rates(neutral=2)
    with pytest.raises(
        ConfigError, match=r"expression\.aus: expected AUs that can be rendered, got 'AU99'; choose from AU1"
    ):
        ExpressionRates(neutral=0, two_events=1, blink=0.5, one_sided=0, uneven=0, aus=["AU99"])
