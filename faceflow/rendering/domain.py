"""A domain: how subjects are recorded. Its parts are config groups in `configs/domains`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceflow.checks import check_boolean, check_number
from faceflow.images import Image
from faceflow.rendering.arrays import Doubles, Floats
from faceflow.rendering.background import Background
from faceflow.rendering.camera import CropFraming, Exposure, Pose
from faceflow.rendering.colour import to_srgb
from faceflow.rendering.lighting import Light
from faceflow.rendering.occluders import Occluders
from faceflow.rendering.ranges import check_not_negative, check_range
from faceflow.rendering.sensor import Stage, compress
from faceflow.rendering.session import Session

_LUMINANCE = np.array([0.25, 0.6, 0.15])
_INFRARED = np.array([0.75, 0.2, 0.05])  # approximate response of a near-infrared sensor to red, green and blue
_METERED = ((0.25, 0.8), (0.22, 0.78))  # rows and columns of the face, as shares
_LENS_REFERENCE, _SHARPEST = 128, 200  # image width in pixels to which lens blur refers, and above which it is constant


@dataclass(frozen=True, kw_only=True)
class Angle:
    """An angle of the head in degrees.

    `spread` is its standard deviation between frames, `session` the one between recordings; values beyond `limit` are
    clipped.
    """

    mean: float
    spread: float
    session: float
    limit: float

    def __post_init__(self) -> None:
        """Check the values; beyond the highest limit, faces turn to profile."""
        check_not_negative(**{"head.spread": self.spread, "head.session": self.session})
        check_number(self.limit, key="head.limit", expected="degrees in 0..60", valid=lambda limit: 0 <= limit <= 60)

    def sample(self, rng: np.random.Generator, session: float) -> float:
        """Draw an angle, in radians."""
        degrees = rng.normal(self.mean, self.spread) + self.session * session
        return float(np.radians(np.clip(degrees, -self.limit, self.limit)))


@dataclass(frozen=True, kw_only=True)
class Head:
    """How subjects hold their heads: `yaw` to their left, `pitch` downwards, `roll` to their right shoulder."""

    yaw: Angle
    pitch: Angle
    roll: Angle

    def sample(self, rng: np.random.Generator, session: Session) -> Pose:
        """Draw the pose of one frame."""
        return Pose(
            self.yaw.sample(rng, session.yaw), self.pitch.sample(rng, session.pitch), self.roll.sample(rng, 0.0)
        )


@dataclass(frozen=True, kw_only=True)
class Optics:
    """A camera.

    Attributes:
        field_of_view: narrowest and widest, in degrees.
        scale: standard deviation of the face size, as a share.
        shift: standard deviation of the face position, as a share of the crop size.
        roll: standard deviation of the face roll, in degrees.
        exposure: brightness that the camera aims at for the face, in linear light.
        adaptation: 1 reaches this brightness for all skin tones, 0 leaves dark skin dark.
        exposure_error: standard deviation of the exposure, as a share.
        exposure_session: how far the exposure varies between recordings.
        infrared: whether the camera records near-infrared light.
        lens_blur: in pixels of an image 128 pixels wide; 0 for none.
        highlights: whether highlights are compressed instead of clipped.
        stages: processing after the lens.
    """

    field_of_view: Sequence[float]
    scale: float
    shift: float
    roll: float
    exposure: float
    adaptation: float
    exposure_error: float
    exposure_session: float
    infrared: bool
    lens_blur: float
    highlights: bool
    stages: Sequence[Stage]

    def __post_init__(self) -> None:
        """Check the values."""
        check_range(self.field_of_view, key="camera.field_of_view", lowest=5, highest=90)
        names = ("scale", "shift", "roll", "exposure", "adaptation", "exposure_error", "exposure_session", "lens_blur")
        check_not_negative(**{f"camera.{name}": getattr(self, name) for name in names})
        for name in ("infrared", "highlights"):
            check_boolean(getattr(self, name), key=f"camera.{name}")

    def sample_framing(self, rng: np.random.Generator) -> CropFraming:
        """Draw the framing errors of a detector."""
        scale, x = float(np.exp(rng.normal(0, self.scale))), rng.normal(0, self.shift)
        return CropFraming(scale, x, rng.normal(0, self.shift), float(np.radians(rng.normal(0, self.roll))))


@dataclass(frozen=True, kw_only=True)
class Domain:
    """How subjects are recorded.

    Attributes:
        name: name in the labels.
        stream: number that seeds the random draws; unique among the domains of a data set.
        head: poses.
        light: lamps.
        camera: lens and sensor.
        background: what is behind the subject.
        compression: range of JPEG quality inside the camera; None for no compression.
        occluders: what is in front of the face.
    """

    name: str
    stream: int
    head: Head
    light: Light
    camera: Optics
    background: Background
    compression: Sequence[float] | None
    occluders: Occluders

    def __post_init__(self) -> None:
        """Check the compression."""
        if self.compression is not None:
            check_range(self.compression, key="compression.quality", lowest=1, highest=100)

    def develop(
        self,
        exposure: Exposure,
        background: Floats,
        session: Session,
        rng: np.random.Generator,
        skin: Floats,
    ) -> Image:
        """Turn light into the image (H, W, 3) that the camera stores.

        Args:
            exposure: light from the subject.
            background: (H, W, 3), linear light.
            session: the recording.
            rng: of the frame.
            skin: (3,), colour of this subject's hands.
        """
        camera, light, coverage = self.camera, exposure.light, exposure.coverage[..., None]
        height, width = exposure.coverage.shape
        brightness = light @ _LUMINANCE
        if camera.infrared:
            seen = (light @ _INFRARED)[..., None]
            # Melanin is far more transparent in the near infrared, so skin tones differ less.
            light = np.repeat(np.where(seen > 0, 0.55 * seen**0.78, 0), 3, -1)
            background, brightness = background.mean(-1, keepdims=True) * np.ones(3), light.mean(-1)
            rng.normal()  # unused: the benchmark's exposure is the second draw here
        gain = (camera.exposure / self._metered(brightness, exposure)) ** camera.adaptation
        gain *= np.exp(rng.normal(0, camera.exposure_error) + camera.exposure_session * session.brightness)
        image: Doubles = light * gain + background * (1 - coverage)
        image = self.occluders.cover(image, exposure.window, rng, skin * gain)
        if camera.lens_blur:
            sigma = camera.lens_blur * min(width, _SHARPEST) / _LENS_REFERENCE
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float64)
        image = np.clip(image, 0, 4)
        if camera.highlights:
            image = image * (1 + image / 6.0) / (1 + image * 0.75)
        image = np.asarray(to_srgb(image), np.float64)
        for stage in camera.stages:
            image = stage(image, rng, session)
        image = compress(image, rng, self.compression)
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.float64)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _metered(self, brightness: Doubles, exposure: Exposure) -> float:
        """Mean brightness of the middle of the face."""
        left, top, width, height = exposure.window
        rows, columns = (
            slice(int(first + start * side), int(first + end * side))
            for (start, end), first, side in zip(_METERED, (top, left), (height, width), strict=True)
        )
        face = exposure.coverage[rows, columns] > 0.9
        return max(float(brightness[rows, columns][face].mean()), 0.01) if face.any() else 0.2
