"""Augmentation of the features of a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.checks import check_number
from faceflow.errors import ConfigError, suggest
from faceflow.faces.features import FaceFeatures

Vector = NDArray[np.float32]

_SMALLEST = 1e-8  # blendshapes are clipped to this distance from 0 and 1


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """Perturbs features like errors of a detector; the result depends only on the features and the seed.

    Attributes:
        landmarks: standard deviation of every coordinate, as a share of the landmarks' spread around their mean.
        stretch: standard deviation of the logarithm of each axis' scale, as some faces are longer or deeper.
        pose: standard deviation of yaw, pitch and roll, degrees: the pose correction becomes inexact.
        blendshapes: standard deviation of the log-odds.
        dropout: probability that a blendshape is unknown (NaN).
    """

    landmarks: float
    stretch: float
    pose: float
    blendshapes: float
    dropout: float

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("landmarks", "stretch", "pose", "blendshapes"):
            check_number(getattr(self, name), key=name, expected="a deviation >= 0", valid=lambda x: x >= 0)
        check_number(self.dropout, key="dropout", expected="a probability in [0, 1)", valid=lambda x: 0 <= x < 1)

    def __call__(self, vector: Vector, seed: int) -> Vector:
        """Perturb features (FEATURES,)."""
        rng = np.random.default_rng((seed, 1))  # the image of the same view draws from `seed` alone
        face = FaceFeatures.from_vector(vector)
        middle = face.landmarks.mean(axis=0)
        points = face.landmarks - middle
        spread = np.sqrt(np.square(points).sum(axis=1).mean())
        points = points * np.exp(self.stretch * rng.standard_normal(3))
        points = points + self.landmarks * spread * rng.standard_normal(points.shape)
        pose = face.pose + self.pose * rng.standard_normal(3)
        shapes = face.blendshapes.clip(_SMALLEST, 1 - _SMALLEST)
        odds = shapes / (1 - shapes) * np.exp(self.blendshapes * rng.standard_normal(shapes.shape))
        known = rng.random(shapes.shape) >= self.dropout
        shapes = np.where(known, odds / (1 + odds), np.nan)
        return FaceFeatures(landmarks=points + middle, blendshapes=shapes, pose=pose).vector()


def build_feature_view(values: Mapping[str, Any], *, key: str) -> FeatureView:
    """Build the view that a config describes.

    Args:
        values: fields of `FeatureView`.
        key: their config key, for messages.

    Raises:
        ConfigError: a value that is out of range, missing or unknown.
    """
    names = [field.name for field in fields(FeatureView)]
    if unknown := [name for name in values if name not in names]:
        raise ConfigError(f"{key}: expected {', '.join(names)}, got '{unknown[0]}'; {suggest(unknown[0], names)}")
    if missing := [name for name in names if name not in values]:
        raise ConfigError(f"{key}: expected {', '.join(names)}, got none for {missing[0]}; set {key}.{missing[0]}")
    try:
        return FeatureView(**values)
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from error


def feature_views(views: Mapping[str, Mapping[str, Any]], pipelines: Mapping[str, object]) -> dict[str, FeatureView]:
    """Feature views of the pipelines in use; a pipeline without an entry leaves features unchanged."""
    return {name: build_feature_view(views[name], key=f"feature_views.{name}") for name in pipelines if name in views}
