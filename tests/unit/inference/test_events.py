"""Onset, apex, offset and end of curves that were worked out by hand, and what holds for every curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.inference.events import Event, EventRule, find_events, seen_stretches

RULE = EventRule(release=0.5, bridge_s=0.2, shortest_s=0.2, rise_s=10.0, noise=8.0)
NAN = float("nan")


def events(values: list[float], *, probability: list[float] | None = None, **changes: Any) -> list[Event]:
    """With ten frames per second, and a threshold of 0.5 that is left at 0.25."""
    rule = EventRule(**({**vars(RULE), **changes}))
    curve = np.array(values, np.float64)
    decided = curve if probability is None else np.array(probability, np.float64)
    times = np.arange(len(values)) / 10
    return list(find_events(decided, curve, times, step=0.1, threshold=0.5, rule=rule))


def phases(found: Event) -> tuple[int, int, int, int]:
    return found.onset, found.apex, found.offset, found.end


def test_an_event_begins_with_its_rise_and_ends_with_its_fall() -> None:
    #                 0    1    2    3    4    5    6    7    8    9
    (found,) = events([0.0, 0.0, 0.2, 0.4, 0.6, 0.9, 0.85, 0.4, 0.2, 0.0])
    # It crosses 0.5 at 4, but rises from 2 on; 0.85 lies within a tenth of 0.9, and 0.2 is the last of the fall.
    assert phases(found) == (2, 5, 6, 8)
    assert found.peak == 0.9
    assert found.mean == pytest.approx((0.2 + 0.4 + 0.6 + 0.9 + 0.85 + 0.4 + 0.2) / 7)
    assert found.complete


def test_a_slow_start_within_a_tenth_belongs_to_the_rise() -> None:
    # A tenth of the rise is 0.09; from there the curve still falls back to the 0.01 of frame 2.
    (found,) = events([0.02, 0.02, 0.01, 0.03, 0.08, 0.5, 0.91, 0.91, 0.0])
    assert found.onset == 3


def test_a_rest_that_is_not_zero_is_taken_from_the_curve() -> None:
    (found,) = events([0.3, 0.31, 0.3, 0.5, 0.8, 0.8, 0.45, 0.3, 0.31], release=0.8)
    assert phases(found) == (3, 4, 5, 6)


def test_a_probability_above_the_lower_threshold_continues() -> None:
    (found,) = events([0.0, 0.6, 0.3, 0.3, 0.3, 0.3, 0.6, 0.0])
    assert phases(found) == (1, 1, 6, 6)


def test_gaps_are_bridged_up_to_a_time() -> None:
    curve = [0.0, 0.9, 0.9, 0.1, 0.1, 0.9, 0.9, 0.0]
    assert [phases(found) for found in events(curve)] == [(1, 1, 6, 6)]
    # For 0.1 s they are two, which share the lowest frame between them as their rest.
    assert [phases(found) for found in events(curve, bridge_s=0.1)] == [(1, 1, 2, 2), (5, 5, 6, 6)]


def test_events_without_rest_between_them_share_no_frame() -> None:
    curve = [0.0, 0.9, 0.8, 0.2, 0.15, 0.24, 0.8, 0.9, 0.0]
    first, second = events(curve, bridge_s=0.0)
    assert (phases(first), phases(second)) == ((1, 1, 1, 3), (5, 7, 7, 7))


def test_events_below_the_minimum_duration_are_dropped() -> None:
    assert events([0.0, 0.9, 0.0, 0.0]) == []
    assert len(events([0.0, 0.9, 0.9, 0.0])) == 1


def test_a_curve_that_stays_below_the_threshold_has_none() -> None:
    assert events([0.0, 0.4, 0.45, 0.49, 0.4]) == []


def test_an_event_that_was_there_before_or_continues_after_is_not_complete() -> None:
    (begun,) = events([0.9, 0.9, 0.4, 0.0, 0.0])
    (lasts,) = events([0.0, 0.0, 0.7, 0.9, 0.9])
    assert (phases(begun), begun.complete) == ((0, 0, 1, 2), False)
    assert (phases(lasts), lasts.complete) == ((2, 3, 4, 4), False)


def test_the_rise_is_followed_back_for_a_limited_time() -> None:
    curve = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.6, 0.0]
    assert [found.onset for found in events(curve)] == [1]
    assert [found.onset for found in events(curve, rise_s=0.3)] == [3]


def test_events_within_the_noise_are_dropped() -> None:
    trembling = np.where(np.arange(40) % 2 == 0, 0.45, 0.47)
    trembling[20:24] = 0.5, 0.53, 0.52, 0.5
    # Second differences are 0.04, so the noise is 1.4826 * 0.04 / sqrt(6) = 0.0242; it rises by 0.08 above 0.45.
    assert events(trembling.tolist()) == []
    assert len(events(trembling.tolist(), noise=3.2)) == 1
    assert events(trembling.tolist(), noise=3.4) == []
    trembling[20:24] = 0.9
    assert len(events(trembling.tolist())) == 1
    assert len(events(trembling[10:25].tolist(), noise=1e9)) == 1, "of so few frames noise is not known"


def test_an_au_that_never_rests_is_one_event() -> None:
    trembling = np.where(np.arange(40) % 2 == 0, 0.7, 0.72)
    (found,) = events(trembling.tolist())
    assert (found.onset, found.end, found.complete) == (0, 39, False)


def test_probabilities_decide_and_intensities_give_the_phases() -> None:
    probability, intensity = [0.0, 0.0, 0.1, 0.9, 0.9, 0.9, 0.1, 0.0], [0.0, 0.0, 1.0, 2.0, 4.0, 2.0, 1.0, 0.0]
    (found,) = events(intensity, probability=probability)
    assert (phases(found), found.peak) == ((2, 4, 4, 6), 4.0)
    assert found.mean == 2.0


def test_missed_frames_are_crossed_by_a_straight_line() -> None:
    (found,) = events([0.0, NAN, 0.4, 0.8, NAN, 0.8, 0.0])
    assert (phases(found), found.mean) == ((1, 3, 5, 5), pytest.approx((0.2 + 0.4 + 0.8 + 0.8 + 0.8) / 5))


def test_a_face_is_lost_where_it_is_missed_for_longer_than_the_bridge() -> None:
    times, seen = np.arange(10) / 10, np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1], bool)
    assert list(seen_stretches(times, seen, step=0.1, bridge_s=0.2)) == [(1, 5), (9, 9)]
    assert list(seen_stretches(times, seen, step=0.1, bridge_s=0.1)) == [(1, 2), (5, 5), (9, 9)]
    assert list(seen_stretches(times, seen, step=0.1, bridge_s=0.3)) == [(1, 9)]
    assert list(seen_stretches(times, np.zeros(10, bool), step=0.1, bridge_s=0.3)) == []


def test_frames_that_a_video_lacks_lose_no_face() -> None:
    times = np.array([0.0, 0.1, 5.0, 5.1])  # of a stream that stood still
    assert list(seen_stretches(times, np.ones(4, bool), step=0.1, bridge_s=0.2)) == [(0, 3)]


def test_invariants_hold_for_random_curves() -> None:
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(60):
        steps = rng.normal(0, 1.2, 150)
        probability = 1 / (1 + np.exp(-np.array([steps[max(0, i - 6) : i + 1].sum() for i in range(150)]) + 1))
        seen = np.ones(150, bool)
        for start in rng.integers(0, 150, 4):
            seen[start : start + rng.integers(1, 6)] = False
        times = np.arange(150) / 10
        rule = EventRule(release=0.7, bridge_s=0.2, shortest_s=0.1, rise_s=rng.uniform(0, 2), noise=0.0)
        shown = np.zeros(150, int)
        for first, last in seen_stretches(times, seen, step=0.1, bridge_s=0.2):
            part = slice(first, last + 1)
            known = np.where(seen, probability, NAN)[part]
            for found in find_events(known, known, times[part], step=0.1, threshold=0.5, rule=rule):
                count += 1
                assert 0 <= found.onset <= found.apex <= found.offset <= found.end <= last - first
                assert found.peak >= 0.5
                places = np.flatnonzero(seen[first + found.onset : first + found.end + 1])
                assert np.diff(places, append=places[-1] + 1).max() <= 3  # never over more than two missed frames
                shown[first + found.onset : first + found.end + 1] += 1
        assert shown.max() <= 1
    assert count > 300


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"release": 0}, "event_rule.release: expected a share in (0, 1], got 0"),
        ({"bridge_s": -1}, "event_rule.bridge_s: expected seconds >= 0, got -1"),
        ({"rise_s": "long"}, "event_rule.rise_s: expected seconds >= 0, got 'long'"),
        ({"noise": -1}, "event_rule.noise: expected a number >= 0, got -1"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EventRule(**({**vars(RULE), **change}))
    assert str(caught.value) == line
