"""Statistics of a face, from its crop and its features if available."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.crop_statistics import of_landmarks, of_pixels
from faceflow.faces.features import FaceFeatures
from faceflow.images import Image


def face_statistics(pixels: Image | None, features: NDArray[np.float32] | None, *, image_size: int) -> dict[str, float]:
    """Statistics by name, see `faceflow.crop_statistics`.

    Args:
        pixels: the crop at the input size of the network, (S, S, 3); None if it reads no images.
        features: features of the same face, (FEATURES,); None if unknown.
        image_size: side S of the network's input, pixels.
    """
    found = {} if pixels is None else of_pixels(pixels)
    if features is not None:
        face = FaceFeatures.from_vector(features)
        found |= of_landmarks(face.landmarks, face.pose, image_size=image_size)
    return found
