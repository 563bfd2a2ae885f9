"""The recording of one subject: all frames of a still data set, rendered and written; what remains of it for tables."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceflow.files import whole_file
from faceflow.images import Image, encode_image
from faceflow.rendering.action_units import AUS, level, relaxed
from faceflow.rendering.camera import Camera
from faceflow.rendering.domain import Domain
from faceflow.rendering.expressions import ExpressionRates, sample_expression
from faceflow.rendering.face_model import FaceModel, build_face_model
from faceflow.rendering.facekit import read_facekit
from faceflow.rendering.frame import Frame, render_frame
from faceflow.rendering.growth import years
from faceflow.rendering.people import Population, Strength
from faceflow.rendering.sequence import VideoSettings
from faceflow.rendering.session import sample_session
from faceflow.rendering.subject import Subject, sample_subject
from faceflow.rendering.video import VIDEOS, event_rows, render_frames, video_writer, write_disfa_labels

CROPS, PROGRESS = "crops", ".progress"
_SHEET = 1  # branch of random streams beside the domains'
_SHEET_POSE = 5  # seed of what all pictures of a row of a sheet share


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """What decides every byte of a data set.

    Attributes:
        model: converted face model.
        seed: of all random draws.
        frames: of each subject.
        size: side of an image in pixels.
        margin: what an image shows on each side beyond an aligned crop of the face, as a share of that crop.
        quality: of JPEG.
        population: who is rendered.
        strength: of everybody's AUs.
        rates: how often AUs occur.
        domains: by name.
        video: of what size and timing; None for single images.
    """

    model: Path
    seed: int
    frames: int
    size: int
    margin: float
    quality: int
    population: Population
    strength: Strength
    rates: ExpressionRates
    domains: Mapping[str, Domain]
    video: VideoSettings | None


@dataclass(frozen=True)
class Recording:
    """A subject in front of a camera; `number` counts those of a domain from 0."""

    subject: str
    domain: str
    number: int

    def progress_file(self, output: Path) -> Path:
        """Where its rows are kept once it is finished."""
        return output / PROGRESS / self.domain / f"{self.subject}.json"

    def image_name(self, frame: int) -> str:
        """File of a frame below the folder of crops."""
        return f"{self.domain}/{self.subject}_{frame:04d}.jpg"

    def video_name(self, layout: str) -> str:
        """File of the video below the folder of results."""
        if layout == "disfa":
            return f"Videos_LeftCamera/LeftVideo{self.subject}_comp.avi"
        return f"{VIDEOS}/{self.domain}/{self.subject}.avi"


def plan_recordings(domains: Sequence[str], subjects: int, *, prefix: str = "S") -> list[Recording]:
    """Share subjects among domains: each gets as many, the first ones the rest; none is in two."""
    each, rest = divmod(subjects, len(domains))
    counts = [each + (place < rest) for place in range(len(domains))]
    owners = [(name, number) for name, count in zip(domains, counts, strict=True) for number in range(count)]
    return [Recording(f"{prefix}{place:03d}", name, number) for place, (name, number) in enumerate(owners, start=1)]


class Renderer:
    """Renders recordings and sheets; a process has one."""

    def __init__(self, settings: RenderSettings) -> None:
        self.settings = settings

    @functools.cached_property
    def face(self) -> FaceModel:
        """The face model of all subjects."""
        return build_face_model(read_facekit(self.settings.model, key="facekit"))

    @functools.cached_property
    def camera(self) -> Camera:
        """Takes square images."""
        return Camera(self.settings.size, self.settings.size, margin=self.settings.margin)

    def record(self, recording: Recording, output: Path, tell: Callable[[int], None]) -> None:
        """Render all frames of a recording, then write its rows.

        Raises:
            DataError: a file cannot be written.
        """
        settings = self.settings
        stream = settings.domains[recording.domain].stream
        seed = np.random.SeedSequence([settings.seed, stream, recording.number])
        of_subject, of_session, of_frames = seed.spawn(3)
        subject = self._subject(of_subject, settings.population)
        if settings.video is None:
            content = self._record_images(recording, output, subject, of_session, of_frames, tell)
        else:
            content = self._record_video(recording, output, subject, (of_session, of_frames), tell)
        with whole_file(recording.progress_file(output)) as partial:
            partial.write_text(json.dumps({"subject": _facts(subject), **content}) + "\n", encoding="utf-8")

    def _record_images(
        self,
        recording: Recording,
        output: Path,
        subject: Subject,
        of_session: np.random.SeedSequence,
        of_frames: np.random.SeedSequence,
        tell: Callable[[int], None],
    ) -> dict[str, Any]:
        """Write all images of a subject; returns their rows."""
        settings, domain = self.settings, self.settings.domains[recording.domain]
        session = sample_session(np.random.default_rng(of_session))
        rng = np.random.default_rng(of_frames)
        rows = []
        for number in range(settings.frames):
            left, right = sample_expression(rng, settings.rates)
            frame = render_frame(subject, self.camera, domain, session, rng, left, right)
            name = recording.image_name(number)
            with whole_file(output / CROPS / name) as partial:
                partial.write_bytes(encode_image(frame.image, ".jpg", quality=settings.quality))
            rows.append(_row(name, number, frame))
            tell(1)
        return {"rows": rows}

    def _record_video(
        self,
        recording: Recording,
        output: Path,
        subject: Subject,
        seeds: tuple[np.random.SeedSequence, np.random.SeedSequence],
        tell: Callable[[int], None],
    ) -> dict[str, Any]:
        """Write the video of a subject, and labels in DISFA's layout; returns its rows and events."""
        settings, video = self.settings, self.settings.video
        assert video is not None
        domain = settings.domains[recording.domain]
        frames, events = render_frames(subject, domain, video, settings.rates, settings.frames, seeds)
        name, rows, shown = recording.video_name(video.layout), [], []
        with video_writer(output / name, video) as write:
            for number, frame in enumerate(frames, start=1):
                write(frame.image)
                shown.append((frame.left, frame.right))
                rows.append({**_row(name, number, frame), "time_s": round((number - 1) / video.fps, 4)})
                tell(1)
        if video.layout == "disfa":
            write_disfa_labels(output, recording.subject, [row["labels"] for row in rows])
        return {"rows": rows, "events": event_rows(events, video.fps, shown)}

    def picture_au(self, au: str, people: int) -> list[list[Image]]:
        """Rows of pictures of subjects who show nothing, and this AU: weakly, fully, on the left, on the right."""
        domain = next(iter(self.settings.domains.values()))
        rows: list[list[Image]] = []
        for number in range(people):
            seed = np.random.SeedSequence(self.settings.seed, spawn_key=(_SHEET, number))
            subject = self._subject(seed, replace(self.settings.population, glasses=0.0))
            session = sample_session(np.random.default_rng(number))
            shown = [(0.0, 0.0), (2.0, 2.0), (5.0, 5.0), (5.0, 0.0), (0.0, 5.0)]
            rows.append([])
            for on_left, on_right in shown:
                left, right = {**relaxed(), au: on_left}, {**relaxed(), au: on_right}
                rng = np.random.default_rng(_SHEET_POSE + number)
                rows[-1].append(render_frame(subject, self.camera, domain, session, rng, left, right, still=True).image)
        return rows

    def _subject(self, seed: np.random.SeedSequence, population: Population) -> Subject:
        return sample_subject(seed, self.face, population, self.settings.strength)


def _row(name: str, number: int, frame: Frame) -> dict[str, Any]:
    sides = {f"{au}_{side}": level(found[au]) for au in AUS for side, found in (("L", frame.left), ("R", frame.right))}
    return {
        "labels": sides,
        "filename": name,
        "frame": number,
        "pose": np.degrees(frame.pose).round(1).tolist(),
        "gaze": np.degrees(frame.gaze).round(1).tolist(),
    }


def _facts(subject: Subject) -> dict[str, Any]:
    traits = subject.traits
    return {
        "sex": "female" if traits.female else "male",
        "age": years(traits.age),
        "skin": round(float(subject.skin.tone), 1),
        "hair": subject.scalp.style,
        "beard": ("none", "stubble", "full")[subject.skin.beard],
        "glasses": "yes" if subject.outfit.glasses else "no",
    }
