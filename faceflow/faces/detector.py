"""Detections, and the interface of face detectors."""

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

    `box` (4,) is x1, y1, x2, y2. `points` (5, 2) are the two eyes, the nose tip and the two mouth corners; of each pair
    the one on the left of an upright image, the subject's right, comes first. NaN stands for a point or a score that
    the detector does not give. `landmarks` (N, 2) are all it found, in its own order. `extras` are other numbers by
    name, such as an angle of the head, for columns of faceflow-infer. `features` are inputs of networks that read
    features, None for detectors without them.
    """

    box: Array
    points: Array
    score: float
    landmarks: Array | None = None
    extras: Mapping[str, float] = field(default_factory=dict)
    features: FaceFeatures | None = None


class FaceDetector(Protocol):
    """Finds faces in an image; stateless, so that an image always gives the same faces.

    `name` and `identity`, the SHA-256 of the model file, identify a detector. Faces that score less than `min_score`
    may be returned too; they count as uncertain. `features` says whether its faces have features. The detector is open
    inside `with detector:` and can be pickled before.
    """

    name: str
    min_score: float
    features: bool

    @property
    def identity(self) -> str:
        """SHA-256 of the model file; fetches the file if it is missing."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Other settings that influence which faces are found and where, as plain data by config key."""
        ...

    def detect(self, image: Image) -> list[Detection]:
        """Faces of an RGB image (H, W, 3)."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def describe_detector(detector: FaceDetector) -> dict[str, Any]:
    """Identity and settings of a detector, as plain data for crops.json."""
    return {
        "name": detector.name,
        "sha256": detector.identity,
        "features": detector.features,
        **detector.settings,
    }
