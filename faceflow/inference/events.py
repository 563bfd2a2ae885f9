"""Finds when an AU comes and goes: onset, apex, offset and end of each event, from the estimates of one face.

An event starts where the probability reaches the model's threshold and lasts until it falls below `release` times the
threshold (hysteresis). Events at most `bridge_s` apart are merged. Events shorter than `shortest_s` are dropped, and so
are events that rise by less than `noise` times the noise between frames; the rise is measured from the lower quartile
of the curve within `rise_s` before or after the event.

Onset, apex, offset and end are read from the intensity if the model has one, otherwise from the probability. From the
start of an event the curve is followed back over at most `rise_s`, and at most to the lowest value since the previous
event; the lowest value found is the rest. The foot is the last frame at most a tenth of the rise (from the rest to the
peak of the event) above the rest, or an earlier frame if the curve still falls on the way back. The onset is the frame
after the foot: the first frame of the rise, not the one that crosses the threshold. The end is found the same way after
the event: the last frame of the fall. The apex is the first frame with the highest value, the offset the last frame at
most a tenth of the rise below it.

While a face is missed for at most `bridge_s`, curves are interpolated linearly. If it is missed for longer, its state
is unknown, and no event extends across the gap.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_number

_TENTH = 0.1
_ROUNDING = 1e-6  # s
_ENOUGH = 20  # frames needed to separate noise from events

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """What counts as an event; see the top of this file.

    `release` is a share of the threshold and `noise` a multiple; the others are seconds.

    Raises:
        ConfigError: a value out of range.
    """

    release: float
    bridge_s: float
    shortest_s: float
    rise_s: float
    noise: float

    def __post_init__(self) -> None:
        """Check the values."""
        check_number(
            self.release, key="event_rule.release", expected="a share in (0, 1]", valid=lambda share: 0 < share <= 1
        )
        for name in ("bridge_s", "shortest_s", "rise_s", "noise"):
            key, unit = f"event_rule.{name}", "a number" if name == "noise" else "seconds"
            check_number(getattr(self, name), key=key, expected=f"{unit} >= 0", valid=lambda value: value >= 0)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Frames of an event, as positions in the arrays; it lasts from `onset` to `end`, both included.

    `peak` is the highest value and `mean` the mean of all its frames. An event is `complete` if the rest before and
    after it was seen.
    """

    onset: int
    apex: int
    offset: int
    end: int
    peak: float
    mean: float
    complete: bool


def seen_stretches(
    times: Floats, seen: NDArray[np.bool_], *, step: float, bridge_s: float
) -> Iterator[tuple[int, int]]:
    """Positions of the first and last frame of each stretch in which a face is never missed for over `bridge_s`.

    Args:
        times: times of the frames (N,), s, rising.
        seen: whether the face was seen (N,).
        step: duration of a frame, s.
        bridge_s: longest time without the face, s.
    """
    places = np.flatnonzero(seen)
    if len(places) == 0:
        return
    missed = np.diff(times[places]) - step > bridge_s + _ROUNDING
    for part in np.split(places, np.flatnonzero((np.diff(places) > 1) & missed) + 1):
        yield int(part[0]), int(part[-1])


def find_events(
    probability: Floats, values: Floats, times: Floats, *, step: float, threshold: float, rule: EventRule
) -> Iterator[Event]:
    """Events of an AU in one stretch of a face; see the top of this file.

    Args:
        probability: probability of occurrence (N,), NaN where the face was missed, but not in the first and last frame.
        values: intensity, or again the probability, in the same form.
        times: times of the frames (N,), s, rising.
        step: duration of a frame, s.
        threshold: threshold of the probability.
        rule: what counts as an event.
    """
    known = np.isfinite(probability)
    probability = np.interp(times, times[known], probability[known])
    values = np.interp(times, times[known], values[known])
    cores = _merged(_cores(probability, threshold, rule.release * threshold), times, step + rule.bridge_s)
    cores = [(a, b) for a, b in cores if times[b] - times[a] + step >= rule.shortest_s - _ROUNDING]
    least = rule.noise * _noise(values)
    # An event that lasts through the whole stretch has no rest to rise from.
    cores = [(a, b) for a, b in cores if (a, b) == (0, len(times) - 1) or _rise(values, times, a, b, rule) >= least]
    if not cores:
        return
    between = [a + 1 + int(np.argmin(values[a + 1 : b])) for (_, a), (b, _) in itertools.pairwise(cores)]
    for (first, last), low, high in zip(cores, [0, *between], [*between, len(times) - 1], strict=True):
        earliest, latest = _around(times, first, last, rule.rise_s)
        earliest, latest = max(low, earliest), min(high, latest)
        peak = float(values[first : last + 1].max())
        before, after = _risen(values[earliest : first + 1], peak), _risen(values[last : latest + 1][::-1], peak)
        onset, end = earliest + before, latest - after
        shown = values[onset : end + 1]
        rest = min(values[earliest : first + 1].min(), values[last : latest + 1].min())
        near = np.flatnonzero(values[first : last + 1] >= peak - _TENTH * (peak - rest))
        yield Event(
            onset=onset,
            apex=first + int(np.argmax(values[first : last + 1])),
            offset=first + int(near[-1]),
            end=end,
            peak=peak,
            mean=float(shown.mean()),
            complete=onset > earliest and end < latest,
        )


def _cores(probability: Floats, upper: float, lower: float) -> Iterator[tuple[int, int]]:
    """First and last positions of runs that start at `upper` and last while values reach `lower`."""
    start: int | None = None
    for place, value in enumerate(probability):
        if start is None and value >= upper:
            start = place
        elif start is not None and value < lower:
            yield start, place - 1
            start = None
    if start is not None:
        yield start, len(probability) - 1


def _merged(cores: Iterator[tuple[int, int]], times: Floats, within: float) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in cores:
        if merged and times[start] - times[merged[-1][1]] <= within + _ROUNDING:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _noise(values: Floats) -> float:
    """Standard deviation of the noise between frames; 0 with too few frames."""
    if len(values) < _ENOUGH:
        return 0.0
    # From second differences, which a rise hardly affects. For normal noise, 1.4826 times the median is their standard
    # deviation, which is the square root of 6 times that of the values.
    return float(1.4826 * np.median(np.abs(np.diff(values, n=2))) / np.sqrt(6))


def _around(times: Floats, first: int, last: int, within: float) -> tuple[int, int]:
    """Positions of the first and the last frame within this many seconds."""
    earliest = np.searchsorted(times, times[first] - within - _ROUNDING)
    latest = np.searchsorted(times, times[last] + within + _ROUNDING, side="right") - 1
    return int(earliest), int(latest)


def _rise(values: Floats, times: Floats, first: int, last: int, rule: EventRule) -> float:
    """Height of the peak above the lower quartile before or after it, which does not depend on a single frame."""
    earliest, latest = _around(times, first, last, rule.rise_s)
    rest = min(np.quantile(values[earliest : first + 1], 0.25), np.quantile(values[last : latest + 1], 0.25))
    return float(values[first : last + 1].max() - rest)


def _risen(values: Floats, peak: float) -> int:
    """Position of the first value of the rise that ends with the last value."""
    rest = values.min()
    foot = int(np.flatnonzero(values <= rest + _TENTH * (peak - rest))[-1])
    while foot > 0 and values[foot - 1] < values[foot]:
        foot -= 1
    return min(foot + 1, len(values) - 1)
