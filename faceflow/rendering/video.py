"""The video of one subject, with the truth of every frame and of every event."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceflow.errors import DataError
from faceflow.files import whole_file
from faceflow.images import Image
from faceflow.rendering.action_units import AUS, Intensities, level
from faceflow.rendering.background import paint_background
from faceflow.rendering.camera import Camera, FrameFraming
from faceflow.rendering.domain import Domain
from faceflow.rendering.expressions import ExpressionRates
from faceflow.rendering.frame import Frame, hand_colour
from faceflow.rendering.movements import lids_of
from faceflow.rendering.sequence import Event, VideoSettings, plan_sequence
from faceflow.rendering.session import sample_session
from faceflow.rendering.subject import Subject

VIDEOS = "videos"
DISFA_AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
_FACE_CM = 12.0  # between chin and brows
_SWAY = 0.02  # of the width
_SEEN = ("AU25", "AU45")  # whose events are measured
_SHUT = 2  # intensity of AU45 from which eyes are not seen


def render_frames(
    subject: Subject,
    domain: Domain,
    video: VideoSettings,
    rates: ExpressionRates,
    frames: int,
    seeds: tuple[np.random.SeedSequence, np.random.SeedSequence],
) -> tuple[Iterator[Frame], list[Event]]:
    """Plan a video; returns its frames, rendered one by one, and its events.

    Args:
        subject: who is rendered.
        domain: the recording's conditions; light and exposure stay the same through a video.
        video: size and timing.
        rates: how often AUs occur.
        frames: length.
        seeds: of the recording, and of what happens in it.
    """
    session, rng = (sample_session(np.random.default_rng(seeds[0])), np.random.default_rng(seeds[1]))
    steady = replace(
        domain,
        camera=replace(domain.camera, exposure_error=0.0),
        occluders=replace(domain.occluders, share=0.0),
    )
    plan = plan_sequence(rng, frames, video, rates)
    mean, lights = domain.head.sample(rng, session), domain.light.sample(rng, session)
    narrowest, widest = domain.camera.field_of_view
    background = paint_background(domain.background, session, rng, video.width, video.height)
    scale = video.face * video.height / _FACE_CM

    def rendered() -> Iterator[Frame]:
        camera = Camera(video.width, video.height)
        for number in range(frames):
            left, right = plan.intensities(number)
            gaze, pose = plan.gaze(number), plan.pose(number, mean)
            movements = lids_of(gaze) if max(left["AU45"], right["AU45"]) <= _SHUT else {}
            vertices = subject.deformed(left, right, movements, gaze)
            left["AU25"] = right["AU25"] = subject.lips_apart(vertices)
            x = video.width * (0.5 + _SWAY * plan.sway(number))
            exposure = camera.take(
                subject,
                vertices,
                subject.relief(left, right),
                pose,
                lights,
                field_of_view=narrowest + (widest - narrowest) * session.zoom,
                framing=FrameFraming(scale, x, 0.5 * video.height),
            )
            image = steady.develop(exposure, background, session, rng, hand_colour(subject))
            yield Frame(image=image, left=left, right=right, pose=pose, gaze=gaze)

    return rendered(), list(plan.events)


@contextmanager
def video_writer(path: Path, video: VideoSettings) -> Iterator[Callable[[Image], None]]:
    """Yield a function that adds a frame (H, W, 3) to a motion JPEG, which needs no codec of the system.

    Raises:
        DataError: it cannot be written.
    """
    with whole_file(path) as partial:
        code: Any = cv2.VideoWriter.fourcc(*"MJPG")
        named = partial.with_name(f"{partial.name}{path.suffix}")  # OpenCV goes by the suffix
        writer = cv2.VideoWriter(str(named), cv2.CAP_OPENCV_MJPEG, code, video.fps, (video.width, video.height))
        written = 0

        def write(image: Image) -> None:
            nonlocal written
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            written += 1

        try:
            if not writer.isOpened():
                raise DataError(f"{path}: expected a writable file, got one that cannot be opened; check disk and path")
            yield write
            writer.release()
            if (kept := _count_frames(named)) != written:  # OpenCV does not report a full disk
                raise DataError(f"{path}: expected {written} frames on disk, got {kept}; free disk space")
            named.replace(partial)
        finally:
            writer.release()
            named.unlink(missing_ok=True)


def _count_frames(path: Path) -> int:
    """Frames of a video that are there, whatever its header says."""
    capture = cv2.VideoCapture(str(path))
    try:
        return sum(1 for _ in iter(capture.grab, False))
    finally:
        capture.release()


def event_rows(
    events: Sequence[Event], fps: float, shown: Sequence[tuple[Intensities, Intensities]]
) -> list[dict[str, Any]]:
    """A row for each AU of each event and side: its phases in frames from 1, as faceflow-crop counts, and seconds.

    AU25 and AU45 are what is seen: other AUs part the lips or keep them closed, and people blink besides.

    Args:
        events: as planned.
        fps: frames per second.
        shown: intensities of the left and the right side in every frame.
    """
    rows = []
    for event in events:
        phases = {name: getattr(event, name) for name in ("onset", "apex", "offset", "end")}
        for au in AUS:
            if au not in _SEEN:
                rows += _sides(au, fps, [(level(event.left[au]), phases)], [(level(event.right[au]), phases)])
    for au in _SEEN:
        rows += _sides(au, fps, *(_phases([sides[side][au] for sides in shown]) for side in range(2)))
    return sorted(rows, key=lambda row: row["onset_s"])


def _sides(au: str, fps: float, *sides: Sequence[tuple[int, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Rows of the levels and phases of the left and the right side; joined where they are the same."""
    left, right = sides
    named = [("both", left)] if left == right else [("left", left), ("right", right)]
    rows = []
    for side, found in named:
        for most, phases in found:
            if most:
                frames = {f"{name}_frame": round(frame) + 1 for name, frame in phases.items()}
                seconds = {f"{name}_s": round(frame / fps, 3) for name, frame in phases.items()}
                rows.append({"au": au, "side": side, "level": most, **frames, **seconds})
    return rows


def _phases(curve: Sequence[float]) -> list[tuple[int, Mapping[str, float]]]:
    """Level and phases of each stretch in which a curve is above 0; the apex lasts while it has 0.95 of its most."""
    found: list[tuple[int, Mapping[str, float]]] = []
    frame = 0
    for above, group in itertools.groupby(curve, key=lambda intensity: intensity > 0):
        values = list(group)
        start, frame = frame, frame + len(values)
        if above:
            top = [start + place for place, value in enumerate(values) if value >= 0.95 * max(values)]
            end = min(frame, len(curve) - 1)
            phases = {"onset": max(start - 1, 0), "apex": top[0], "offset": top[-1], "end": end}
            found.append((level(max(values)), phases))
    return found


def write_disfa_labels(output: Path, subject: str, levels: Sequence[Mapping[str, int]]) -> None:
    """Write the labels of a video as DISFA has them: a file for each AU, lines "frame,intensity".

    Raises:
        DataError: a file cannot be written.
    """
    for au in DISFA_AUS:
        lines = [
            f"{number},{max(sides[f'AU{au}_L'], sides[f'AU{au}_R'])}\n" for number, sides in enumerate(levels, start=1)
        ]
        with whole_file(output / "ActionUnit_Labels" / subject / f"{subject}_au{au}.txt") as partial:
            partial.write_text("".join(lines), encoding="utf-8")
