"""Networks that read features of a face from a detector: landmarks or blendshapes, normalised inside the network.

They take vectors of `FaceFeatures.vector`, with F = FEATURES numbers, in pixels of an image of any size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceflow.checks import check_whole
from faceflow.errors import ConfigError, suggest
from faceflow.faces.features import BLENDSHAPES, LANDMARKS
from faceflow.models.head import AUHead

_ENDS = (3 * LANDMARKS, 3 * LANDMARKS + len(BLENDSHAPES))  # where landmarks and blendshapes end in a vector
_SMALLEST, _LARGEST = 1e-8, 1 - 1e-7  # blendshapes; the one of a wrinkled nose stays below 1e-5
_FLAT = 1e-6  # size in pixels, or deviation, that counts as 0


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """Which parts of the features a network reads, and the layers of each.

    `hidden` is the width of the layer between features and head, `components` the number of principal components that
    represent the landmarks.
    """

    parts: tuple[str, ...]
    hidden: int
    components: int

    def __post_init__(self) -> None:
        """Check every field, as a spec may come from an untrusted file."""
        known = isinstance(self.parts, tuple | list) and self.parts and len(set(self.parts)) == len(self.parts)
        if not known or (unknown := [part for part in self.parts if part not in PARTS]):
            hint = suggest(str(unknown[0]), PARTS) if known else f"choose from {', '.join(PARTS)}"
            raise ConfigError(f"model.features: expected some of {', '.join(PARTS)}, got {self.parts!r}; {hint}")
        check_whole(self.hidden, key="model.hidden", lowest=1, highest=2**14)
        check_whole(self.components, key="model.components", lowest=1, highest=3 * LANDMARKS)

    @classmethod
    def from_dict(cls, raw: Any) -> FeatureSpec | None:
        """Read plain containers; None for None."""
        return cls(**{**raw, "parts": tuple(raw["parts"])}) if raw else None


def log_odds(vectors: Tensor) -> Tensor:
    """Log-odds of the blendshapes (B, 52) of vectors (B, F)."""
    shapes = vectors[:, _ENDS[0] : _ENDS[1]].clamp(_SMALLEST, _LARGEST)
    return torch.log(shapes) - torch.log1p(-shapes)


def frontal_landmarks(vectors: Tensor) -> Tensor:
    """Landmarks (B, 3 * 478) of vectors (B, F): centred, in units of their spread, with the head pose undone."""
    points = vectors[:, : _ENDS[0]].reshape(-1, LANDMARKS, 3)
    points = points - points.mean(dim=1, keepdim=True)
    spread = points.square().sum(dim=2).mean(dim=1).sqrt().clamp(min=_FLAT)
    yaw, pitch, roll = torch.deg2rad(vectors[:, _ENDS[1] :]).unbind(dim=1)
    x, y, z = points.unbind(dim=2)
    # Sums, not matrix products, which mixed precision rounds. The order undoes `rendering.subject.rotation`, whose
    # axes y and z point the other way.
    x, y = _turned(x, y, -roll)
    x, z = _turned(x, z, yaw)
    y, z = _turned(y, z, pitch)
    return (torch.stack([x, y, z], dim=2) / spread[:, None, None]).flatten(1)


PARTS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {  # normalisation, and length of its result
    "blendshapes": (log_odds, len(BLENDSHAPES)),
    "landmarks": (frontal_landmarks, 3 * LANDMARKS),
}


class FeatureBranch(nn.Module):
    """One part of the features: normalisation, standardisation, one hidden layer, ordinal logits.

    `fit` sets the standardisation. NaN marks an unknown number and is replaced by the mean.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, part: str, spec: FeatureSpec, *, aus: int, levels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.normalise, width = PARTS[part]
        self.reduced = part == "landmarks"
        kept = min(spec.components, width) if self.reduced else width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("basis", torch.eye(width, kept))
        self.hidden = nn.Linear(kept, spec.hidden)
        self.head = AUHead(spec.hidden, aus, levels, dropout=dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, F) -> logits (B, A, L)."""
        logits: Tensor = self.head(F.gelu(self.hidden(self.standardised(vectors.float()))))
        return logits

    def standardised(self, vectors: Tensor) -> Tensor:
        """(B, F) -> (B, K), each with mean 0 and standard deviation 1 on the faces of `fit`."""
        with _full_precision(vectors):
            return (self.normalise(vectors) - self.mean).nan_to_num(nan=0.0) @ self.basis

    @torch.no_grad()
    def fit(self, vectors: Tensor) -> None:
        """Set the standardisation from training faces (N, F); landmarks use their principal components.

        N faces have N - 1 components; further ones are 0.
        """
        values = self.normalise(vectors.double())
        self.mean.copy_(values.mean(dim=0))
        centred = values - values.mean(dim=0)
        if self.reduced:
            directions, deviations = _principal(centred, self.basis.shape[1])
        else:
            directions, deviations = torch.eye(values.shape[1]).double(), centred.square().mean(dim=0).sqrt()
        scale = torch.where(deviations > _FLAT, 1 / deviations.clamp(min=_FLAT), 0.0)
        self.basis.copy_(directions * scale)


def branches(spec: FeatureSpec | None, *, aus: int, levels: int, dropout: float) -> nn.ModuleDict:
    """A branch for every part that a network reads, by name."""
    parts: Sequence[str] = () if spec is None else spec.parts
    return nn.ModuleDict(
        {part: FeatureBranch(part, spec, aus=aus, levels=levels, dropout=dropout) for part in parts if spec}
    )


@contextlib.contextmanager
def _full_precision(tensor: Tensor) -> Iterator[None]:
    """Disable mixed precision, in which a frown is lost, for a step; exported graphs have none."""
    if not torch.is_autocast_enabled(tensor.device.type):
        yield
        return
    with torch.autocast(tensor.device.type, enabled=False):
        yield


def _turned(first: Tensor, second: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (B, N) in axes rotated by an angle (B,) from the first towards the second."""
    cosine, sine = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    return cosine * first + sine * second, cosine * second - sine * first


def _principal(centred: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Directions (D, K) of the largest variance and the deviations (K,) along them, with signs that do not vary."""
    rows, width = centred.shape
    if rows < width:  # fewer faces than numbers
        _, spread, found = torch.linalg.svd(centred, full_matrices=False)
        deviations, directions = spread / rows**0.5, found.T
    else:
        values, vectors = torch.linalg.eigh(centred.T @ centred / rows)
        deviations, directions = values.clamp(min=0).sqrt().flip(0), vectors.flip(1)
    directions, deviations = directions[:, :count], deviations[:count]
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    missing = count - len(deviations)
    return F.pad(directions * largest.sign(), (0, missing)), F.pad(deviations, (0, missing))
