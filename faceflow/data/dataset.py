"""Rows of label tables as training examples: augmented views, ordinal targets, and the mask of known labels."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceflow.aus import flip_order
from faceflow.data.batches import Packed, pack
from faceflow.data.decoded import DecodedImages
from faceflow.data.feature_views import FeatureView
from faceflow.data.features import FeatureStore, read_features
from faceflow.data.labels import scores_for
from faceflow.data.sampling import Draw
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.encoding import encode
from faceflow.faces.features import mirrored
from faceflow.images import Image, read_image
from faceflow.views import FEATURES, IMAGES, features_of


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What is read for a face: `inputs` of the network, and the augmentation of features by pipeline.

    JPEGs are decoded at a reduced size that keeps at least `shortest` pixels on each side; None decodes at full size.
    """

    inputs: Sequence[str] = (IMAGES,)
    shortest: int | None = None
    feature_views: Mapping[str, FeatureView] = field(default_factory=dict)


PIXELS = Reads()


class FaceDataset(Dataset[dict[str, Tensor]]):
    """Labelled faces; an item depends only on its (row, seed).

    Items have, per view, a uint8 RGB image (3, S, S), features (F,) named by `features_of`, or both, depending on
    `reads`; `target` (A, L) of 0 and 1, `mask` (A,) True where the AU is labelled, `index`, the row, and the int64
    values of `numbers` for the row. All views of an item are flipped together, so that the sides of the face agree
    between views and with the label. Decoded images are kept in `decoded`, if given.
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
        reads: Reads = PIXELS,
        decoded: DecodedImages | None = None,
    ) -> None:
        self.decoded = decoded
        self.views = dict(views)
        sides = {pipeline.side for pipeline in self.views.values()} if IMAGES in reads.inputs else {None}
        self.side = sides.pop() if len(sides) == 1 else None
        self.reads = reads
        self.flip = flip
        self.numbers = dict(numbers)
        self.mirror = flip_order(aus) if flip > 0 else list(range(len(aus)))
        # Bytes in one array: reference counts would make every worker copy a list of str.
        self.files = np.concatenate([np.char.encode(table.files, "utf-8") for table in tables])
        self.features = None
        if FEATURES in reads.inputs:
            names = dict.fromkeys(table.name for table in tables)
            self.features = read_features(
                np.concatenate([table.files for table in tables]).tolist(), key=", ".join(names)
            )
        scores = [scores_for(aus, table.columns, table.scores) for table in tables]
        # 0/1 labels have no levels: with levels they count as missing.
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
        return {name: rows[0] for name, rows in self.__getitems__([draw]).unpacked().items()}

    def __getitems__(self, draws: Sequence[Draw]) -> Packed:
        """Decode, flip and augment the rows of a batch."""
        rows = np.array([row for row, _ in draws], np.int64)
        flipped = np.array([self.flip > 0 and random.Random(seed).random() < self.flip for _, seed in draws])
        target, mask = self.target[rows], self.mask[rows]
        target[flipped], mask[flipped] = target[flipped][:, self.mirror], mask[flipped][:, self.mirror]
        return pack(
            {
                **(self._shown_images(draws, flipped) if IMAGES in self.reads.inputs else {}),
                **(self._shown_features(self.features, draws, flipped) if self.features is not None else {}),
                "target": target,
                "mask": mask,
                "index": rows,
                **{name: numbers[rows] for name, numbers in self.numbers.items()},
            }
        )

    def check_room(self) -> None:
        """Warn if there is no room for all decoded images."""
        if self.decoded is not None and len(self):
            self.decoded.check_room(len(self), self.files[0].decode("utf-8"), self._kept)

    def _shown_images(self, draws: Sequence[Draw], flipped: NDArray[np.bool_]) -> dict[str, list[Image]]:
        shown: dict[str, list[Image]] = {view: [] for view in self.views}
        for (row, seed), mirror in zip(draws, flipped, strict=True):
            image = self._image(row, mirror=mirror)
            for number, (view, pipeline) in enumerate(self.views.items()):
                shown[view].append(pipeline(image, seed + 1 + number))
        return shown

    def _image(self, row: int, *, mirror: bool) -> Image:
        file = self.files[row].decode("utf-8")
        if self.decoded is None:
            return self._resized(self._read(file), mirror=mirror)
        kept = self.decoded.read(row, file, self._kept)
        if self.side is None:
            return self._resized(kept, mirror=mirror)
        return kept[self.side :] if mirror else kept[: self.side]

    def _kept(self, file: str) -> Image:
        """What is kept of an image: all of it, or what `_image` returns, straight above mirrored."""
        image = self._read(file)
        if self.side is None:
            return image
        ways = (False, True) if self.flip else (False,)
        return np.concatenate([self._resized(image, mirror=mirror) for mirror in ways])

    def _read(self, file: str) -> Image:
        return read_image(file, shortest=self.reads.shortest)

    def _resized(self, image: Image, *, mirror: bool) -> Image:
        """Flip an image, then resize it as all views do first: once for all of them."""
        if mirror:
            image = np.asarray(cv2.flip(image, 1), np.uint8)  # 30 times as fast as a copy of image[:, ::-1]
        if self.side is None or image.shape[:2] == (self.side, self.side):
            return image
        return np.asarray(cv2.resize(image, (self.side, self.side), interpolation=cv2.INTER_AREA), np.uint8)

    def _shown_features(
        self, vectors: FeatureStore, draws: Sequence[Draw], flipped: NDArray[np.bool_]
    ) -> dict[str, list[NDArray[np.float32]]]:
        shown: dict[str, list[NDArray[np.float32]]] = {features_of(view): [] for view in self.views}
        for (row, seed), mirror in zip(draws, flipped, strict=True):
            vector = mirrored(vectors[row]) if mirror else vectors[row]
            for number, view in enumerate(self.views):
                disturb = self.reads.feature_views.get(view)
                shown[features_of(view)].append(vector if disturb is None else disturb(vector, seed + 1 + number))
        return shown
