"""What a face detector hands over, and what it must look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from faceflow.faces.features import FaceFeatures
from faceflow.images import Image

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Detection:
    """A face in a frame, in pixels; the centre of the top left pixel is (0, 0).

    `box` (4,) is x1, y1, x2, y2. `points` (5, 2) are the two eyes, the nose tip and the two mouth corners, first the
    one on the left of an upright image: the subject's right. NaN stands for a point or a score that the detector does
    not give. `landmarks` (N, 2) are all that it found, in its own order. `extras` are further numbers by name, such as
    an angle of the head, which stay with the face on its way to a column of faceflow-infer. `features` are what
    networks that read features take, None of a detector that has none.
    """

    box: Array
    points: Array
    score: float
    landmarks: Array | None = None
    extras: Mapping[str, float] = field(default_factory=dict)
    features: FaceFeatures | None = None


class FaceDetector(Protocol):
    """Finds the faces of an image; stateless, so that an image gives the same faces wherever it comes.

    `name` and `identity`, the SHA-256 of the model file, tell detectors apart. Faces that score less than `min_score`
    are handed over too, where the detector has them: they count as uncertain. `features` says whether its faces have
    features. The detector is open inside `with detector:`, and may be pickled before.
    """

    name: str
    min_score: float
    features: bool

    @property
    def identity(self) -> str:
        """SHA-256 of the model file; fetches the file where it is not yet there."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else decides which faces are found and where, as plain data by config key."""
        ...

    def detect(self, image: Image) -> list[Detection]:
        """Faces of an RGB image (H, W, 3)."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def describe_detector(detector: FaceDetector) -> dict[str, Any]:
    """What tells a detector apart and decides where its faces lie, as plain data for crops.json."""
    return {
        "name": detector.name,
        "sha256": detector.identity,
        "features": detector.features,
        **detector.settings,
    }
