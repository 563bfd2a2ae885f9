"""Camera faults that are equally strong on large and small images of a face.

Their settings hold for an image `at_side` px high, where they are bit-identical to the transforms of albumentations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import albumentations
import cv2
import numpy as np
from albumentations.augmentations.blur.functional import create_gaussian_kernel_1d
from numpy.typing import NDArray

from faceflow.errors import ConfigError


class Blur(albumentations.GaussianBlur):  # type: ignore[misc]
    """Gaussian blur whose standard deviation is a share of the image's side."""

    def __init__(self, *, sigma_limit: Sequence[float], at_side: int, p: float) -> None:
        """Set the range of standard deviations, in pixels of an image of `at_side` px."""
        super().__init__(blur_limit=0, sigma_limit=sigma_limit, p=p)
        self.at_side = _checked(at_side)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the kernel."""
        sigma = self.py_random.uniform(*self.sigma_limit) * len(data["image"]) / self.at_side
        self.py_random.randint(*self.blur_limit)  # GaussianBlur draws it too: later steps stay the same
        return {"kernel": create_gaussian_kernel_1d(sigma)}


class Noise(albumentations.GaussNoise):  # type: ignore[misc]
    """Gaussian noise whose mean over a given share of the face has the same standard deviation at any size.

    A mean over k times as many pixels has 1 / sqrt(k) of the deviation, so the deviation of one pixel grows with
    the side.
    """

    def __init__(self, *, std_range: Sequence[float], at_side: int, p: float) -> None:
        """Set the range of standard deviations per pixel of an image of `at_side` px, as shares of white."""
        super().__init__(std_range=std_range, p=p)
        self.at_side = _checked(at_side)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the noise (H, W, 3)."""
        noise = super().get_params_dependent_on_data(params, data)["noise_map"]
        # albumentations truncates noise to integers, which weakens weak noise; the same is done at every size.
        return {"noise_map": np.rint(np.trunc(noise) * (len(data["image"]) / self.at_side))}


class Compression(albumentations.ImageCompression):  # type: ignore[misc]
    """JPEG artefacts in blocks of 8 / `at_side` of the side, added to an image that keeps its finer detail."""

    def __init__(self, *, quality_range: Sequence[int], at_side: int, p: float) -> None:
        """Set the range of qualities, 1 to 100, at which an image of `at_side` px is compressed."""
        super().__init__(quality_range=quality_range, p=p)
        self.at_side = _checked(at_side)

    def apply(self, img: NDArray[np.uint8], quality: int, image_type: str, **params: Any) -> NDArray[np.uint8]:
        """Compress an RGB image (H, W, 3) at the height `at_side`."""
        height, width = img.shape[:2]
        size = max(1, round(width * self.at_side / height)), self.at_side
        before = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
        change = super().apply(before, quality, image_type, **params).astype(np.float32) - before
        change = cv2.resize(change, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(np.rint(np.clip(img + change, 0, 255)), np.uint8)


def _checked(at_side: int) -> int:
    if at_side < 1:
        raise ConfigError(f"at_side: expected the side of an image in pixels, got {at_side}; the usual value is 112")
    return at_side
