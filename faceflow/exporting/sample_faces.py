"""A few real faces to try an exported model on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import DataError
from faceflow.images import IMAGE_SUFFIXES, Image, read_image

log = logging.getLogger(__name__)


def load_faces(files: Sequence[str], pipeline: Pipeline) -> Image:
    """Read pictures as the network sees them, (N, S, S, 3).

    Raises:
        DataError: a file that is no picture.
    """
    return np.stack([pipeline(read_image(file), 0) for file in files])


def spread(tables: Sequence[FaceTable], count: int) -> list[str]:
    """Files of at most `count` rows, at equal steps through all tables."""
    files = [file for table in tables for file in table.files.tolist()]
    return [files[row] for row in np.unique(np.linspace(0, len(files) - 1, count).astype(int))] if files else []


def training_faces(config: Mapping[str, Any], count: int, pipeline: Pipeline) -> Image | None:
    """Some pictures of the folders that a run was trained on; None where they are gone.

    Args:
        config: of the run, as its checkpoint keeps it: nothing but its paths is read.
        count: at most.
        pipeline: of evaluation.
    """
    try:
        files = list(itertools.islice(_pictures(config["data"]["sources"]), count))
        return load_faces(files, pipeline) if files else None
    except (LookupError, TypeError, ValueError, AttributeError, OSError, DataError) as error:
        log.debug("no training faces: %s", error)
        return None


def _pictures(sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for source in sources.values():
        labels = source["labels"] or source["train"]
        folder = Path(source["images"]) if source["images"] else Path(labels).parent
        yield from (str(path) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
