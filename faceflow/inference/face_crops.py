"""From frames to network inputs: faces are found, chosen and cut as in `faceflow-crop`, or crops are used directly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_boolean
from faceflow.faces.align import Recipe
from faceflow.faces.cuts import mark_cuts
from faceflow.faces.detector import Detection, FaceDetector
from faceflow.faces.parallel import map_in_order
from faceflow.faces.prefetch import frame_bytes
from faceflow.faces.selection import CUT, NO_FRAME, Face, Selector, choose_faces
from faceflow.faces.track_smoothing import smooth
from faceflow.faces.video import Frame
from faceflow.images import Image
from faceflow.inference.onnx_model import fit
from faceflow.views import FEATURES, IMAGES


@dataclass(frozen=True, eq=False, kw_only=True)
class CutFace:
    """A face of a frame; `pixels` (S, S, 3) and `features` (F,) are None if the model does not read them.

    Both are None if there is nothing to score.
    """

    face: Face
    pixels: Image | None
    features: NDArray[np.float32] | None = None

    @property
    def scored(self) -> bool:
        """Whether there is something to score."""
        return self.pixels is not None or self.features is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """What a rendered video shows of a frame, `scale` times its size."""

    pixels: Image
    scale: float


@dataclass(frozen=True, eq=False, kw_only=True)
class CutFrame:
    """A frame and its faces, at least one row; `picture` is set if a video is rendered."""

    number: int
    time_s: float | None
    picture: Picture | None
    faces: Sequence[CutFace]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Choice and smoothing of faces: `policy` and `hold` as in `Selector`, `smooth` as in `faces.track_smoothing`.

    `smooth` None means the value of the model's training crops. `cuts`: whether to detect cuts in videos; faces are
    not followed across a cut.
    """

    policy: str
    hold: int
    smooth: int | None
    cuts: bool

    def __post_init__(self) -> None:
        """Check the values."""
        Selector(policy=self.policy, hold=self.hold, min_score=0.0)
        if self.smooth is not None:
            smooth([], radius=self.smooth)
        check_boolean(self.cuts, key="selection.cuts")


def whole_pictures(
    frames: Iterable[Frame],
    size: int | None,
    *,
    features: Callable[[int], NDArray[np.float32]] | None = None,
    picture: Callable[[Image], Picture] | None = None,
) -> Generator[CutFrame, None, None]:
    """Frames that are crops already, of any size.

    Args:
        frames: frames to score.
        size: side S of the network's input, pixels; None if it reads no images.
        features: returns the features of a frame by its number; None if the model does not read them.
        picture: what a rendered video shows of a frame; None: nothing is kept.
    """
    for frame in frames:
        found = CutFace(face=NO_FRAME, pixels=None)
        if frame.image is not None:
            found = CutFace(
                face=Face(number=0, status="ok", detection=None),
                pixels=None if size is None else fit(frame.image, size),
                features=None if features is None else features(frame.number),
            )
        yield CutFrame(
            number=frame.number,
            time_s=frame.time_s,
            picture=picture(frame.image) if picture and frame.image is not None else None,
            faces=[found],
        )


def aligned_faces(
    frames: Iterable[Frame],
    detectors: Sequence[FaceDetector],
    recipe: Recipe,
    selection: Selection,
    size: int,
    *,
    sequence: bool,
    inputs: Sequence[str] = (IMAGES,),
    picture: Callable[[Image], Picture] | None = None,
) -> Generator[CutFrame, None, None]:
    """Find, choose and cut the faces of frames; arguments as in `whole_pictures` and `cropping.crop_clip`.

    The `detectors` have the same settings and are open; each searches one frame at a time. `inputs` are those of the
    model.
    """
    if selection.cuts and sequence:
        frames = mark_cuts(frames)
    with contextlib.closing(map_in_order(_search, detectors, frames, weigh=frame_bytes)) as searched:
        chosen = choose_faces(
            searched,
            policy=selection.policy,
            hold=selection.hold,
            min_score=detectors[0].min_score,
            sequence=sequence,
        )
        for frame, faces in smooth(chosen, radius=(selection.smooth or 0) if sequence else 0):
            yield CutFrame(
                number=frame.number,
                time_s=frame.time_s,
                picture=picture(frame.image) if picture and frame.image is not None else None,
                faces=[_cut(frame.image, face, recipe, size, inputs=inputs) for face in faces],
            )


def _search(detector: FaceDetector, frame: Frame) -> tuple[Frame, list[Detection]]:
    return frame, [] if frame.image is None else detector.detect(frame.image)


def _cut(image: Image | None, face: Face, recipe: Recipe, size: int, *, inputs: Sequence[str]) -> CutFace:
    found = face.detection
    if face.status not in CUT or found is None or image is None:
        return CutFace(face=face, pixels=None)
    features = None
    if FEATURES in inputs:
        assert found.features is not None, "a detector with features gives them of every face"
        features = found.features.vector()
    pixels = fit(recipe.warp(image, recipe.affine(found)), size) if IMAGES in inputs else None
    return CutFace(face=face, pixels=pixels, features=features)
