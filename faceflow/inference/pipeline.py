"""Reading frames, finding and cutting faces, and scoring them, in separate threads with short queues in between."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from faceflow.crop_statistics import CropStatistics, OutsideTally
from faceflow.faces.prefetch import frame_bytes, prefetch
from faceflow.faces.selection import Face
from faceflow.faces.video import Frame, warn_of_faults
from faceflow.images import Image
from faceflow.inference.face_crops import CutFace, CutFrame, Picture
from faceflow.inference.face_statistics import face_statistics
from faceflow.inference.frames import Source
from faceflow.inference.onnx_model import OnnxModel, Scores

log = logging.getLogger(__name__)

_FRAMES_AHEAD = 4

Cut = Callable[[Iterator[Frame]], Generator[CutFrame, None, None]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimates:
    """Estimates of one face, in the order of the model's AUs, float32.

    `probability` (A,); `intensity` (A,) in FACS units 0-5, None if the model has no levels.
    """

    probability: NDArray[np.float32]
    intensity: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class FacePrediction:
    """A face and its estimates by the suffix of their columns: "" for those of the model, others are derived from them.

    There are none if no face was cut. `statistics` are those of `faceflow.crop_statistics`, if the model stores those
    of its training faces.
    """

    face: Face
    estimates: Mapping[str, Estimates]
    statistics: Mapping[str, float] = field(default_factory=dict)

    def with_estimates(self, suffix: str, estimates: Estimates) -> FacePrediction:
        """A copy with further estimates."""
        return replace(self, estimates={**self.estimates, suffix: estimates})


@dataclass(frozen=True, eq=False, kw_only=True)
class FramePrediction:
    """A frame with one row per face, at least one; `picture` is set if a video is rendered."""

    file: str
    number: int
    time_s: float | None
    picture: Picture | None
    faces: Sequence[FacePrediction]


def predict(
    source: Source, cut: Cut, model: OnnxModel, *, batch_size: int, stop: threading.Event
) -> Generator[FramePrediction, None, None]:
    """Score the faces of a source, in its order and in bounded memory.

    Args:
        source: source to read.
        cut: turns frames into faces, see `face_crops`.
        model: model that scores them.
        batch_size: faces scored at once; frames of a camera do not wait for each other.
        stop: when it is set, no further frame is read; frames already read are finished.
    """
    at_once = 1 if source.live else batch_size
    with contextlib.ExitStack() as open_stages:
        read = _until(stop, warn_of_faults(source.read(), source.file))
        frames = prefetch(read, _FRAMES_AHEAD, weigh=frame_bytes)
        open_stages.enter_context(contextlib.closing(frames))
        # While a batch is scored, the next is cut and the last is written: room for one between stages.
        found = prefetch(cut(frames), at_once)
        open_stages.enter_context(contextlib.closing(found))
        scored = prefetch(_scored(found, model, at_once), at_once)
        open_stages.enter_context(contextlib.closing(scored))
        for frame, faces in scored:
            yield FramePrediction(
                file=source.file(frame.number) if frame.number else source.name,
                number=frame.number,
                time_s=frame.time_s,
                picture=frame.picture,
                faces=faces,
            )


def warn_of_outside(
    frames: Iterable[FramePrediction], training: CropStatistics | None, *, name: str
) -> Iterator[FramePrediction]:
    """Pass on the frames of a source, and log one warning at its end if its faces are unlike those of training."""
    if training is None:
        yield from frames
        return
    tally = OutsideTally(training)
    for frame in frames:
        for face in frame.faces:
            if face.statistics:
                tally.add(face.statistics)
        yield frame
    if line := tally.line():
        log.warning("%s: %s; the column 'outside' names them: check their AUs before you rely on them", name, line)


def _until(stop: threading.Event, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        if stop.is_set():
            return
        yield frame


def _scored(
    frames: Iterable[CutFrame], model: OnnxModel, batch_size: int
) -> Iterator[tuple[CutFrame, list[FacePrediction]]]:
    waiting: list[CutFrame] = []
    faces = 0
    for frame in frames:
        waiting.append(frame)
        faces += sum(face.scored for face in frame.faces)
        # Frames without a face do not fill a batch, but wait at most for two batches of frames.
        if faces >= batch_size or len(waiting) >= 2 * batch_size - 1:
            yield from _score(waiting, model, batch_size)
            waiting, faces = [], 0
    yield from _score(waiting, model, batch_size)


def _score(
    frames: Sequence[CutFrame], model: OnnxModel, batch_size: int
) -> Iterator[tuple[CutFrame, list[FacePrediction]]]:
    scored = [face for frame in frames for face in frame.faces if face.scored]
    batches = (scored[start : start + batch_size] for start in range(0, len(scored), batch_size))
    estimates = (estimate for batch in batches for estimate in _split(model.run(*network_inputs(batch))))
    for frame in frames:
        faces = [
            FacePrediction(
                face=face.face,
                estimates={"": next(estimates)} if face.scored else {},
                statistics=_statistics(face, model) if face.scored else {},
            )
            for face in frame.faces
        ]
        yield frame, faces


def _statistics(face: CutFace, model: OnnxModel) -> dict[str, float]:
    """Statistics that can be compared with those of the training faces, if the model stores these."""
    if model.contract.crop_statistics is None:
        return {}
    features, found = face.features, face.face.detection
    if features is None and found is not None and found.features is not None:
        features = found.features.vector()
    return face_statistics(face.pixels, features, image_size=model.contract.image_size)


def network_inputs(faces: Sequence[CutFace]) -> tuple[Image | None, NDArray[np.float32] | None]:
    """Pixels and features of faces, if the model reads them."""
    pixels = [face.pixels for face in faces if face.pixels is not None]
    features = [face.features for face in faces if face.features is not None]
    return np.stack(pixels) if pixels else None, np.stack(features) if features else None


def _split(scores: Scores) -> Iterator[Estimates]:
    for row, probability in enumerate(scores.probability):
        intensity = None if scores.intensity is None else scores.intensity[row]
        yield Estimates(probability=probability, intensity=intensity)
