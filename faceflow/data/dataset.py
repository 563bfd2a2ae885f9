"""Rows of label tables as training examples: augmented views, ordinal targets, and the mask of known labels."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceflow.aus import flip_order
from faceflow.data.labels import scores_for
from faceflow.data.sampling import Draw
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.encoding import encode
from faceflow.images import read_image


class FaceDataset(Dataset[dict[str, Tensor]]):
    """Labelled faces; an item is made from its (row, seed) alone.

    Items hold one uint8 RGB image (3, S, S) per view, `target` (A, L) of 0 and 1, `mask` (A,) True where the AU
    is labelled, `index`, the row, and the int64 numbers of the row that `numbers` has. All views of an item share one
    decision to flip, so that the sides of the face agree between them and with the label.
    """

    def __init__(
        self,
        tables: Sequence[FaceTable],
        *,
        aus: Sequence[str],
        points: Sequence[float],
        views: Mapping[str, Pipeline],
        flip: float,
        numbers: Mapping[str, NDArray[np.int64]],
    ) -> None:
        self.views = dict(views)
        self.flip = flip
        self.numbers = {name: torch.from_numpy(rows) for name, rows in numbers.items()}
        self.mirror = flip_order(aus) if flip > 0 else list(range(len(aus)))
        # Bytes in one array: a list of str would be copied into every worker by its reference counts.
        self.files = np.concatenate([np.char.encode(table.files, "utf-8") for table in tables])
        scores = [scores_for(aus, table.columns, table.scores) for table in tables]
        # 0/1 labels know no levels: they are missing where levels are asked for.
        graded = [[not (points and scale.binary) for scale in table.scales_for(aus)] for table in tables]
        self.mask = np.concatenate([np.isfinite(rows) & known for rows, known in zip(scores, graded, strict=True)])
        self.target = np.concatenate(
            [encode(rows, table.scales_for(aus), points) for rows, table in zip(scores, tables, strict=True)]
        )

    def __len__(self) -> int:
        """Count of rows."""
        return len(self.files)

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        """Decode, flip and augment one row."""
        row, seed = draw
        image = read_image(self.files[row].decode("utf-8"))
        target, mask = self.target[row], self.mask[row]
        if self.flip > 0 and random.Random(seed).random() < self.flip:
            image = np.asarray(cv2.flip(image, 1), np.uint8)  # 30 times as fast as a copy of image[:, ::-1]
            target, mask = target[self.mirror], mask[self.mirror]
        views = {
            view: torch.from_numpy(pipeline(image, seed + 1 + number)).permute(2, 0, 1)
            for number, (view, pipeline) in enumerate(self.views.items())
        }
        return {
            **views,
            "target": torch.from_numpy(np.array(target)),
            "mask": torch.from_numpy(np.array(mask)),
            "index": torch.tensor(row),
            **{name: rows[row] for name, rows in self.numbers.items()},
        }


def collate(items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack items to a batch (B, ...).

    Images are stacked as they lie in memory, channels last, which is ten times as fast as reordering them and the
    layout that convolutions like best.
    """
    return {
        key: torch.stack([item[key].permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2)
        if value.dtype == torch.uint8
        else torch.stack([item[key] for item in items])
        for key, value in items[0].items()
    }
