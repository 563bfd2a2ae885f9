"""A sequence: when expressions come and go, eyes blink, and the head moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.checks import check_choice, check_number, check_whole
from faceflow.errors import ConfigError
from faceflow.rendering.action_units import Intensities, relaxed
from faceflow.rendering.camera import Pose
from faceflow.rendering.expressions import ExpressionRates, sample_expression
from faceflow.rendering.movements import Gaze
from faceflow.rendering.ranges import check_range

LAYOUTS = ("images", "videos", "disfa")
_BLINK_S = 0.25  # from open to open
_TREMBLE = (1.1, 0.9, 0.7)  # radians per second of yaw, pitch and roll


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """What videos look like, and how long each phase of an expression takes.

    Attributes:
        layout: videos, or disfa.
        fps: frames per second.
        width: pixels.
        height: pixels.
        face: distance between chin and brows, as a share of the height.
        pause_s: shortest and longest pause between expressions; so are the others.
        onset_s: from nothing to the most of it.
        apex_s: at its most.
        offset_s: back to nothing.
        blinks_per_minute: besides those that expressions have.
        motion: degrees that the head turns to either side.
    """

    layout: str
    fps: float
    width: int
    height: int
    face: float
    pause_s: Sequence[float]
    onset_s: Sequence[float]
    apex_s: Sequence[float]
    offset_s: Sequence[float]
    blinks_per_minute: float
    motion: float

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice(self.layout, key="video.layout", options=LAYOUTS[1:])
        check_number(
            self.fps, key="video.fps", expected="frames per second in 1..240", valid=lambda fps: 1 <= fps <= 240
        )
        for name in ("width", "height"):
            check_whole(getattr(self, name), key=f"video.{name}", lowest=64, highest=4096)
        check_number(self.face, key="video.face", expected="a share in (0, 1]", valid=lambda share: 0 < share <= 1)
        for name in ("pause_s", "onset_s", "apex_s", "offset_s"):
            check_range(getattr(self, name), key=f"video.{name}", lowest=0)
        if not self.onset_s[1] + self.offset_s[1]:
            raise ConfigError("video.onset_s: expected a duration above 0, got 0 for all phases; raise it")
        for name in ("blinks_per_minute", "motion"):
            key = f"video.{name}"
            check_number(
                getattr(self, name), key=key, expected="a number in 0..60", valid=lambda value: 0 <= value <= 60
            )


@dataclass(frozen=True, kw_only=True)
class Event:
    """An expression that comes and goes.

    `left` and `right` are its intensities at the apex. Frames count from 0 and are fractions: it is not there up to
    `onset`, at its most from `apex` to `offset`, and gone from `end` on.
    """

    left: Intensities
    right: Intensities
    onset: float
    apex: float
    offset: float
    end: float

    def share(self, frame: int) -> float:
        """How much of it a frame shows: half waves of a cosine between the phases."""
        if frame <= self.onset or frame >= self.end:
            return 0.0
        if frame < self.apex:
            return 0.5 - 0.5 * math.cos(math.pi * (frame - self.onset) / (self.apex - self.onset))
        if frame <= self.offset:
            return 1.0
        return 0.5 + 0.5 * math.cos(math.pi * (frame - self.offset) / (self.end - self.offset))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that happens in a video.

    Attributes:
        fps: frames per second.
        events: one after the other.
        blinks: frames at which eyes are shut.
        phases: (6,), where head and gaze begin to move, in radians.
        motion: degrees that the head turns.
    """

    fps: float
    events: Sequence[Event]
    blinks: Sequence[float]
    phases: Sequence[float]
    motion: float

    def intensities(self, frame: int) -> tuple[Intensities, Intensities]:
        """Intensities of the left and the right side in a frame."""
        sides = relaxed(), relaxed()
        for event in self.events:
            share = event.share(frame)
            for shown, most in zip(sides, (event.left, event.right), strict=True):
                for au, intensity in most.items():
                    shown[au] = max(shown[au], share * intensity)
        half = _BLINK_S * self.fps / 2
        shut = max((1 - abs(frame - blink) / half for blink in self.blinks), default=0.0)
        for shown in sides:
            if shut > 0 and shown["AU5"] < 1:
                shown["AU45"] = max(shown["AU45"], 5 * shut)
        return sides

    def pose(self, frame: int, mean: Pose) -> Pose:
        """Pose of the head in a frame, around one that it keeps."""
        turns = self._waves(frame, _TREMBLE, self.phases[:3])
        largest = math.radians(self.motion)
        return Pose(
            mean.yaw + largest * turns[0], mean.pitch + 0.6 * largest * turns[1], mean.roll + 0.5 * largest * turns[2]
        )

    def gaze(self, frame: int) -> Gaze:
        """Gaze in a frame."""
        across, down = self._waves(frame, (2.2, 1.4), self.phases[3:5])
        return Gaze(0.08 * across, 0.05 + 0.04 * down)

    def sway(self, frame: int) -> float:
        """How far to the image's right the body is in a frame, -1..1."""
        return self._waves(frame, (0.8,), self.phases[5:])[0]

    def _waves(self, frame: int, speeds: Sequence[float], phases: Sequence[float]) -> list[float]:
        seconds = frame / self.fps
        return [math.sin(speed * seconds + phase) for speed, phase in zip(speeds, phases, strict=True)]


def plan_sequence(rng: np.random.Generator, frames: int, video: VideoSettings, rates: ExpressionRates) -> Plan:
    """Draw what happens in a video of so many frames; no expression is cut off at its end."""
    events: list[Event] = []
    now = 0.0
    while True:
        left, right = sample_expression(rng, rates)
        limits = video.pause_s, video.onset_s, video.apex_s, video.offset_s
        times = [rng.uniform(low, high) * video.fps for low, high in limits]
        onset, apex, offset, end = (now + float(step) for step in np.cumsum(times))
        if end >= frames:
            break
        now = end
        if max(*left.values(), *right.values()) > 0:
            events.append(Event(left=left, right=right, onset=onset, apex=apex, offset=offset, end=end))
    count = rng.poisson(video.blinks_per_minute * frames / video.fps / 60)
    blinks = sorted(rng.uniform(0, frames, count).tolist())
    phases = rng.uniform(0, 2 * math.pi, 6).tolist()
    return Plan(fps=video.fps, events=events, blinks=blinks, phases=phases, motion=video.motion)
