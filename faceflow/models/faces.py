"""Inputs of a network: images, features, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from faceflow.views import features_of


class Faces(NamedTuple):
    """Images (B, 3, S, S), uint8 RGB, and features (B, F) of the same faces; None if they are not read."""

    images: Tensor | None = None
    features: Tensor | None = None

    @classmethod
    def of(cls, rows: Mapping[str, Tensor], pipeline: str) -> Faces:
        """Images and features of a view in a batch."""
        return cls(rows.get(pipeline), rows.get(features_of(pipeline)))

    @classmethod
    def joined(cls, parts: Sequence[Faces]) -> Faces:
        """Concatenate parts that have the same fields."""
        columns = ([part for part in column if part is not None] for column in zip(*parts, strict=True))
        return cls(*(torch.cat(column) if column else None for column in columns))

    @property
    def size(self) -> int:
        """Number of faces."""
        return len(next(part for part in self if part is not None))
