"""A few real faces to try an exported model on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceflow.data.features import read_features
from faceflow.data.rows import crops_beside
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import DataError
from faceflow.images import IMAGE_SUFFIXES, Image, read_image
from faceflow.packs.layout import inside, pack_folder
from faceflow.packs.pack import opened
from faceflow.packs.rows import read_names
from faceflow.views import FEATURES, IMAGES

log = logging.getLogger(__name__)


class Sample(NamedTuple):
    """Network inputs: images (N, S, S, 3) and features (N, F); None if the network does not read them."""

    images: Image | None = None
    features: NDArray[np.float32] | None = None

    def take(self, rows: slice | NDArray[np.intp]) -> Sample:
        """Some of the faces."""
        images, features = self
        return Sample(None if images is None else images[rows], None if features is None else features[rows])

    @property
    def size(self) -> int:
        """How many faces."""
        return len(next(part for part in self if part is not None))


def load_faces(files: Sequence[str], pipeline: Pipeline, inputs: Sequence[str] = (IMAGES,)) -> Sample:
    """Read faces as inputs of a network that takes `inputs`.

    Raises:
        DataError: a file is not an image, or has no features beside it.
    """
    images = np.stack([pipeline(read_image(file), 0) for file in files]) if IMAGES in inputs else None
    if FEATURES not in inputs:
        return Sample(images)
    store = read_features(files, key="data")
    return Sample(images, np.stack([store[row] for row in range(len(store))]))


def spread(tables: Sequence[FaceTable], count: int) -> list[str]:
    """Files of at most `count` rows, at equal steps through all tables."""
    files = [file for table in tables for file in table.files.tolist()]
    return [files[row] for row in np.unique(np.linspace(0, len(files) - 1, count).astype(int))] if files else []


def training_faces(
    config: Mapping[str, Any], count: int, pipeline: Pipeline, inputs: Sequence[str] = (IMAGES,)
) -> Sample | None:
    """Some faces from the training folders of a run; None if they are gone.

    Args:
        config: config of the run, from its checkpoint; only its paths are read.
        count: largest number of faces.
        pipeline: evaluation pipeline.
        inputs: inputs of the network.
    """
    try:
        files = list(itertools.islice(_pictures(config["data"]["sources"]), count))
        return load_faces(files, pipeline, inputs) if files else None
    except (LookupError, TypeError, ValueError, AttributeError, OSError, DataError) as error:
        log.debug("no training faces: %s", error)
        return None


def _pictures(sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for source in sources.values():
        labels = source["labels"] or source["train"]
        if packed := pack_folder(source["images"] or labels):
            yield from (str(inside(packed) / name) for name in read_names(opened(str(packed)), key="data"))
            continue
        folder = Path(source["images"] or crops_beside(Path(labels)) or Path(labels).parent)
        yield from (str(path) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
