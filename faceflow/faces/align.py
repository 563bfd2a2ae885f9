"""Alignment recipes: how a face becomes a crop. Shared by training and inference."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from faceflow.checks import check_boolean, check_choice, check_number, check_whole
from faceflow.errors import ConfigError, suggest
from faceflow.faces.detector import Array, Detection
from faceflow.faces.geometry import BORDERS, INTERPOLATIONS, frontal_eye_distance, roll, rotation, similarity, warp
from faceflow.images import Image

_SMALLEST_FACE = 1.0  # pixels; keeps a transform invertible whatever a detector says


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(abc.ABC):
    """Plain data, stored with crops and models; `preset` names the subclass.

    `size` is the side of the crop in pixels, `padding` fills it beyond the frame (replicate, reflect, or a grey level
    0..255), `interpolation` is linear, or area, which averages if the face is larger than the crop.
    """

    preset: ClassVar[str]
    earlier: ClassVar[Mapping[str, Any]] = {}  # fields missing in recipes of earlier versions, and their values then

    size: int
    padding: str | int
    interpolation: str

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole(self.size, key="align.size", lowest=16, expected="a whole number of pixels >= 16")
        if self.padding not in tuple(BORDERS):
            expected = "replicate, reflect, or a grey level 0..255"
            check_whole(self.padding, key="align.padding", lowest=0, highest=255, expected=expected)
        check_choice(self.interpolation, key="align.interpolation", options=INTERPOLATIONS)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Recipe:
        """Build a recipe from plain data: a config of `configs/align/`, or a stored recipe.

        Raises:
            ConfigError: unknown preset, unknown or missing key, or a value out of range.
        """
        values = dict(data)
        preset = values.pop("preset", None)
        if preset not in tuple(RECIPES):
            raise ConfigError(f"align.preset: expected a known preset, got {preset!r}; {suggest(str(preset), RECIPES)}")
        kind = RECIPES[preset]
        known = {field.name for field in dataclasses.fields(kind)}
        if unknown := sorted(map(str, values.keys() - known)):
            raise ConfigError(f"align.{unknown[0]}: preset '{preset}' has no such key; {suggest(unknown[0], known)}")
        values = {**kind.earlier, **values}
        if missing := sorted(known - values.keys()):
            raise ConfigError(f"align.{missing[0]}: expected a value, got none; preset '{preset}' needs it")
        return kind(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which `from_dict` builds the same recipe."""
        return {"preset": self.preset, **dataclasses.asdict(self)}

    @abc.abstractmethod
    def affine(self, face: Detection) -> Array:
        """Similarity transform (2, 3) from frame to crop coordinates; the centre of the top left pixel is (0, 0).

        Raises:
            ConfigError: the detector does not give the points that the recipe needs.
        """

    def warp(self, image: Image, affine: Array) -> Image:
        """Crop (size, size, 3) of an RGB image (H, W, 3); a face cut by the border is padded, never moved."""
        return warp(image, affine, size=self.size, padding=self.padding, interpolation=self.interpolation)

    def _place(self, x_share: float, y_share: float) -> Array:
        """Crop coordinates of a point given as shares of the crop, which spans -0.5 to size - 0.5."""
        return np.array([x_share, y_share]) * self.size - 0.5

    def _points(self, face: Detection, count: int, names: str) -> Array:
        if not np.isfinite(face.points[:count]).all():
            raise ConfigError(
                f"align.preset: expected a detector that gives {names}, which '{self.preset}' needs, got one without "
                "them; set detector=mediapipe_landmarks or align=box"
            )
        return face.points[:count]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EyesRecipe(Recipe):
    """Puts the eyes at fixed positions.

    `eye_distance` is the distance between them and `eye_height` their distance from the top, both as shares of the
    crop's side; `roll` turns the head upright. Without it only the point between the eyes has a fixed position.

    When a head turns to the side, its eyes come closer together in the image, which would enlarge the face.
    `max_enlargement` limits this to a multiple of the frontal size; beyond it the face keeps its size, and the eyes
    leave their positions. None means no limit, as in recipes of version 0.1.0, which lack it.
    """

    preset = "eyes"
    earlier: ClassVar[Mapping[str, Any]] = {"max_enlargement": None}

    eye_distance: float
    eye_height: float
    roll: bool
    max_enlargement: float | None

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        for name in ("eye_distance", "eye_height"):
            check_number(
                getattr(self, name), key=f"align.{name}", expected="a share in 0..1", valid=lambda share: 0 < share < 1
            )
        check_boolean(self.roll, key="align.roll")
        if self.max_enlargement is not None:
            check_number(
                self.max_enlargement,
                key="align.max_enlargement",
                expected="a number >= 1, or null",
                valid=lambda times: times >= 1,
            )

    def affine(self, face: Detection) -> Array:
        """Transform that moves both eyes to their positions."""
        left, right = self._points(face, 2, "both eyes")
        nose, distance = face.points[2], math.dist(left, right)
        if self.max_enlargement is not None and np.isfinite(nose).all():
            distance = max(distance, frontal_eye_distance(left, right, nose) / self.max_enlargement)
        return similarity(
            angle=roll(left, right) if self.roll else 0.0,
            scale=self.eye_distance * self.size / max(distance, _SMALLEST_FACE),
            anchor=(left + right) / 2,
            place=self._place(0.5, self.eye_height),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxRecipe(Recipe):
    """The square around the face's box, never rotated; `margin` is added on each side, as a share of the box."""

    preset = "box"

    margin: float

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_number(self.margin, key="align.margin", expected="a number > -0.5", valid=lambda share: share > -0.5)

    def affine(self, face: Detection) -> Array:
        """Transform that moves the box to the middle of the crop."""
        low, high = face.box.reshape(2, 2)
        side = max(float((high - low).max()), _SMALLEST_FACE) * (1 + 2 * self.margin)
        return similarity(angle=0.0, scale=self.size / side, anchor=(low + high) / 2, place=self._place(0.5, 0.5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class JAANetRecipe(Recipe):
    """The crop of JAA-Net (Shao et al. 2021, arXiv:2003.08834) and of networks that build on its code.

    The eyes are made level; then the box around eyes, nose tip and mouth corners is made square and enlarged by
    `box_enlarge`. These networks see 176 of the 200 px: a random part in training, the middle in tests.
    """

    preset = "jaanet"

    box_enlarge: float

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_number(self.box_enlarge, key="align.box_enlarge", expected="a number > 0", valid=lambda times: times > 0)

    def affine(self, face: Detection) -> Array:
        """Transform that moves the edges of the enlarged box to the centres of the crop's outermost pixels."""
        points = self._points(face, 5, "eyes, nose tip and mouth corners")
        angle = roll(points[0], points[1])
        level = points @ rotation(angle).T
        low, high = level.min(axis=0), level.max(axis=0)
        side = self.box_enlarge * max(float((high - low).max()), _SMALLEST_FACE)
        return similarity(
            angle=angle,
            scale=(self.size - 1) / side,
            anchor=rotation(-angle) @ ((low + high) / 2),
            place=self._place(0.5, 0.5),
        )


RECIPES: dict[str, type[Recipe]] = {recipe.preset: recipe for recipe in (EyesRecipe, BoxRecipe, JAANetRecipe)}
