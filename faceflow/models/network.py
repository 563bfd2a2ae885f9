"""The network of every method: a timm backbone, branches that read face features, or both, with ordinal AU logits.

Letters used throughout: B batch, A AUs, L ordinal levels per AU, N rows, D width, C/H/W maps, F features of a face.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceflow.aus import check_aus
from faceflow.calibration import Calibration
from faceflow.checks import check_number, check_whole
from faceflow.encoding import FACS_MAX, cutpoints
from faceflow.errors import CheckpointError, ConfigError
from faceflow.formats import known_fields
from faceflow.models.backbone import Backbone, check_backbone
from faceflow.models.features import FeatureBranch, FeatureSpec, branches
from faceflow.models.head import AUHead
from faceflow.models.weights import Weights
from faceflow.views import FEATURES, IMAGES


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Plain data that fully determines the network and the meaning of its outputs; part of every checkpoint.

    `backbone` is None if the network reads only features, `features` is None if it reads only images; without a
    backbone `mean` and `std` are empty. `fusion` is the weight of the image logits if it reads both, see `AUNetwork`.
    `cutpoints` are the FACS intensities of the levels (none for a single level, which is occurrence);
    `occurrence_min` is the FACS intensity that counts as occurrence when levels are read as intensities.
    """

    backbone: str | None
    aus: tuple[str, ...]
    levels: int
    cutpoints: tuple[float, ...]
    occurrence_min: float
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    features: FeatureSpec | None = None
    fusion: float = 0.5

    def __post_init__(self) -> None:
        """Check every field, as a spec may come from an untrusted file."""
        if self.backbone is not None:
            check_backbone(self.backbone)
        elif self.features is None:
            raise ConfigError(
                "model: expected a backbone, features or both, got neither; set model.backbone or model.features"
            )
        check_aus(self.aus, key="aus.names")
        # Counted first, as `levels` in an untrusted file may be huge.
        counted = self.levels == (len(self.cutpoints) or 1)
        if not counted or cutpoints(self.levels, self.cutpoints or None) != self.cutpoints:
            raise ConfigError(
                f"cutpoints: expected one per level, none for one, got {self.cutpoints} for {self.levels!r} levels"
            )
        check_whole(self.image_size, key="model.image_size", lowest=16, highest=2048, expected="pixels in 16..2048")
        expected = "a FACS intensity in (0, 5]"
        check_number(self.occurrence_min, key="occurrence_min", expected=expected, valid=lambda x: 0 < x <= FACS_MAX)
        check_number(self.fusion, key="model.fusion", expected="a share in [0, 1]", valid=lambda x: 0 <= x <= 1)
        if self.backbone is None and not (*self.mean, *self.std):
            return
        statistics = (*self.mean, *self.std)
        finite = all(isinstance(value, int | float) and math.isfinite(value) for value in statistics)
        if not finite or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"model.mean, model.std: expected three numbers each, deviations > 0, got {self.mean} and {self.std}"
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Inputs of the network: images, features or both."""
        return (*([IMAGES] if self.backbone else []), *([FEATURES] if self.features else []))

    @property
    def name(self) -> str:
        """Short name of the network."""
        parts = self.features.parts if self.features else ()
        return " + ".join((self.backbone, *parts) if self.backbone else parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for files; networks that read only images keep the format of earlier versions."""
        values = plain_lists(asdict(self))
        parts = values.pop("features"), values.pop("fusion")
        return values if self.features is None else values | {"features": plain_lists(parts[0]), "fusion": parts[1]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> NetworkSpec:
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: a field without a default is missing, or a value is invalid.
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
            return cls(**plain | {"features": FeatureSpec.from_dict(raw.get("features"))})
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise CheckpointError(f"network spec: {error}") from error


class NetworkOutput(NamedTuple):
    """Logits (B, A, L), and feature maps (B, C_i, H_i, W_i) if requested."""

    logits: Tensor
    maps: tuple[Tensor, ...] = ()


class AUNetwork(nn.Module):
    """Backbone with a head, one branch per part of the features, or both; inputs are normalised inside.

    RGB images are in 0..255; features are those of `FaceFeatures.vector`. With several members, the logits are a
    weighted mean of theirs: weight `fusion` for the images, the rest in equal shares for the parts of the features.

    Args:
        spec: spec of the network.
        pretrained: download the weights of the backbone.
        weights: take the weights of the backbone from a file instead.
        dropout: dropout before the last layers.
        drop_path: drop path of the backbone.
        alone: share of the training faces that a single member scores, redrawn in every step, so that each member
            learns what it can see and does not rely on the others (Neverova et al. 2016, arXiv:1501.00102, "ModDrop").
    """

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        pretrained: bool = False,
        weights: Weights | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        alone: float = 0.0,
    ) -> None:
        super().__init__()
        for key, value in (("dropout", dropout), ("drop_path", drop_path)):
            expected = "a probability in [0, 1)"
            check_number(value, key=f"model.{key}", expected=expected, valid=lambda x: 0 <= x < 1)
        check_number(alone, key="model.alone", expected="a share in [0, 1]", valid=lambda x: 0 <= x <= 1)
        self.spec, self.alone = spec, alone
        self.calibration: Calibration | None = None  # applied to decoded probabilities; logits are unchanged
        self.backbone: Backbone | None = None
        if spec.backbone is not None:
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
        self.branches = branches(spec.features, aus=len(spec.aus), levels=spec.levels, dropout=dropout)

    @property
    def heads(self) -> dict[str, AUHead]:
        """Heads by their input: "images" and the parts of the features."""
        found = {IMAGES: self.head} if self.backbone is not None else {}
        return found | {part: branch.head for part, branch in self._branches.items()}

    def set_prior(self, rates: Tensor) -> None:
        """Start every head at the base rates (A, L), see `AUHead.set_prior`."""
        for head in self.heads.values():
            head.set_prior(rates)

    def fit(self, vectors: Tensor) -> None:
        """Standardise the feature branches on training faces (N, F)."""
        for branch in self._branches.values():
            branch.fit(vectors)

    def forward(
        self, images: Tensor | None = None, features: Tensor | None = None, *, maps: bool = False
    ) -> NetworkOutput:
        """Logits of images (B, 3, H, W), uint8 or float in 0..255, of features (B, F), or of both."""
        members: list[Tensor] = []
        stages: tuple[Tensor, ...] = ()
        if self.backbone is not None:
            assert images is not None, "a network with a backbone reads images"
            pooled, stages = self.backbone(images, maps=maps)
            members.append(self.head(pooled))
        if self.branches:
            assert features is not None, "a network with branches reads features"
            members += [branch(features) for branch in self.branches.values()]
        return NetworkOutput(members[0] if len(members) == 1 else self._fused(torch.stack(members)), stages)

    def _fused(self, members: Tensor) -> Tensor:
        """Weighted mean of logits (M, B, A, L) over M members."""
        parts = len(self.branches)
        of_images = [self.spec.fusion] if self.backbone is not None else []
        shares = members.new_tensor([*of_images, *[(1 - sum(of_images)) / parts] * parts])[:, None]
        if self.training and self.alone:
            count, rows = members.shape[:2]
            judge = torch.randint(count, (rows,), device=members.device)
            single = torch.rand(rows, device=members.device) < self.alone
            shares = torch.where(single, F.one_hot(judge, count).T.to(members.dtype), shares)
        return (members * shares[..., None, None]).sum(dim=0)

    @property
    def _branches(self) -> dict[str, FeatureBranch]:
        return {part: branch for part, branch in self.branches.items() if isinstance(branch, FeatureBranch)}


def split_rows(output: NetworkOutput, sizes: list[int]) -> list[NetworkOutput]:
    """Undo a concatenation of batches of these sizes."""
    logits = torch.split(output.logits, sizes)
    maps = zip(*(torch.split(stage, sizes) for stage in output.maps), strict=True) if output.maps else [()] * len(sizes)
    return [NetworkOutput(part, tuple(stages)) for part, stages in zip(logits, maps, strict=True)]


def plain_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
