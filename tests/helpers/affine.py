"""Transforms points; the product transforms only images."""

from __future__ import annotations

from faceflow.faces.detector import Array


def transform(affine: Array, points: Array) -> Array:
    """Points (N, 2) mapped by a transform (2, 3)."""
    return points @ affine[:, :2].T + affine[:, 2]
