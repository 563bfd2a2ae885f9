"""The network of every method: a timm backbone and a head of ordinal AU logits.

Letters used throughout: B batch, A AUs, L ordinal levels per AU, N rows, D feature width, C/H/W maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from faceflow.aus import check_aus
from faceflow.checks import check_number, check_whole
from faceflow.encoding import FACS_MAX, cutpoints
from faceflow.errors import CheckpointError, ConfigError
from faceflow.formats import known_fields
from faceflow.models.backbone import Backbone, check_backbone
from faceflow.models.head import AUHead
from faceflow.models.weights import Weights


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Plain data that fully determines the network and what its outputs mean; part of every checkpoint.

    `cutpoints` are the FACS intensities of the levels (none for one level, which is occurrence);
    `occurrence_min` is the FACS intensity that counts as occurrence when levels are read as intensities.
    """

    backbone: str
    aus: tuple[str, ...]
    levels: int
    cutpoints: tuple[float, ...]
    occurrence_min: float
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check every field; a spec may come from a stranger's file."""
        check_backbone(self.backbone)
        check_aus(self.aus, key="aus.names")
        # Counted first: `levels` of a stranger's file may be huge.
        counted = self.levels == (len(self.cutpoints) or 1)
        if not counted or cutpoints(self.levels, self.cutpoints or None) != self.cutpoints:
            raise ConfigError(
                f"cutpoints: expected one per level, none for one, got {self.cutpoints} for {self.levels!r} levels"
            )
        check_whole(self.image_size, key="model.image_size", lowest=16, highest=2048, expected="pixels in 16..2048")
        expected = "a FACS intensity in (0, 5]"
        check_number(self.occurrence_min, key="occurrence_min", expected=expected, valid=lambda x: 0 < x <= FACS_MAX)
        statistics = (*self.mean, *self.std)
        finite = all(isinstance(value, int | float) and math.isfinite(value) for value in statistics)
        if not finite or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"model.mean, model.std: expected three numbers each, deviations > 0, got {self.mean} and {self.std}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for files."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> NetworkSpec:
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: a field without a default is missing, or has a value that cannot be.
        """
        if not isinstance(raw, Mapping):
            raise CheckpointError(f"network spec: expected fields and their values, got {type(raw).__name__}")
        try:
            found = known_fields(cls, raw)
        except LookupError as error:
            raise CheckpointError(f"network spec: expected '{error.args[0]}', got none") from error
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
        }
        try:
            return cls(**plain)
        except (ValueError, TypeError, OverflowError) as error:
            raise CheckpointError(f"network spec: {error}") from error


class NetworkOutput(NamedTuple):
    """Logits (B, A, L), and feature maps (B, C_i, H_i, W_i) where they were asked for."""

    logits: Tensor
    maps: tuple[Tensor, ...] = ()


class AUNetwork(nn.Module):
    """Backbone and head; takes RGB images in 0..255, so normalisation travels with the weights."""

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        pretrained: bool = False,
        weights: Weights | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        for key, value in (("dropout", dropout), ("drop_path", drop_path)):
            expected = "a probability in [0, 1)"
            check_number(value, key=f"model.{key}", expected=expected, valid=lambda x: 0 <= x < 1)
        self.spec = spec
        self.backbone = Backbone(
            spec.backbone,
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
            drop_path=drop_path,
            pretrained=pretrained,
            weights=weights,
        )
        self.head = AUHead(self.backbone.dim, len(spec.aus), spec.levels, dropout=dropout)

    def forward(self, images: Tensor, *, maps: bool = False) -> NetworkOutput:
        """Logits of images (B, 3, H, W), uint8 or float in 0..255."""
        pooled, stages = self.backbone(images, maps=maps)
        return NetworkOutput(self.head(pooled), stages)


def split_rows(output: NetworkOutput, sizes: list[int]) -> list[NetworkOutput]:
    """Undo a concatenation of batches of these sizes."""
    logits = torch.split(output.logits, sizes)
    maps = zip(*(torch.split(stage, sizes) for stage in output.maps), strict=True) if output.maps else [()] * len(sizes)
    return [NetworkOutput(part, tuple(stages)) for part, stages in zip(logits, maps, strict=True)]
