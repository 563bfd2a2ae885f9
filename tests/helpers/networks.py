"""Tiny real networks, and label tables without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faceflow.data.sources import FaceTable
from faceflow.encoding import LabelScale, cutpoints
from faceflow.losses.elementwise import LabelCounts
from faceflow.models.network import NetworkSpec
from faceflow.models.weights import Weights, load_file, named_weights
from tests.helpers.faces import made_up_hashes


def network_spec(backbone: str = "test_resnet", *, levels: int = 1, **changes: Any) -> NetworkSpec:
    """Spec of a network for 64 px images and two AUs; keyword arguments change it."""
    values: dict[str, Any] = {
        "aus": ("AU1", "AU12"),
        "cutpoints": cutpoints(levels),
        "occurrence_min": 2.0,
        "image_size": 64,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
    }
    return NetworkSpec(backbone=backbone, levels=levels, **(values | changes))


def read_weights(path: str | Path, *, key: str) -> Weights:
    """Named tensors of a file."""
    return named_weights(load_file(path, key=key), path=Path(path), key=key)


def random_images(rows: int, size: int = 64, seed: int = 0) -> Tensor:
    """Noise, uint8 (N, 3, S, S)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, 3, size, size), dtype=torch.uint8, generator=generator)


def label_counts(positives: Sequence[Sequence[int]], observed: Sequence[int]) -> LabelCounts:
    """Counts from lists."""
    return LabelCounts(positives=torch.tensor(positives), observed=torch.tensor(observed))


def label_table(
    name: str, scores: Mapping[str, Sequence[float]], *, score_max: float = 5, occurrence_min: float = 2
) -> FaceTable:
    """Table of the given labels, one subject per row, without image files."""
    rows = len(next(iter(scores.values())))
    files = np.array([f"/{name}/{row}.png" for row in range(rows)])
    return FaceTable(
        name=name,
        columns=tuple(scores),
        scales=(LabelScale(score_max=score_max, occurrence_min=occurrence_min),) * len(scores),
        scores=np.column_stack([np.asarray(column, np.float64) for column in scores.values()]),
        files=files,
        filenames=files,
        subjects=files,
        identities=files,
        pictures=made_up_hashes(files),
        has_subjects=True,
        domains=None,
        split=None,
        duplicates=0,
        skipped=0,
    )
