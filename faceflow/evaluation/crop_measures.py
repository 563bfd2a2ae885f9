"""Statistics of the face crops of data sets, as a network sees them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from faceflow.crop_statistics import CropStatistics, OutsideTally
from faceflow.data.features import FeatureStore, read_features
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.errors import DataError
from faceflow.images import read_image
from faceflow.inference.face_statistics import face_statistics
from faceflow.inference.onnx_model import fit
from faceflow.progress import progress_bar
from faceflow.views import IMAGES

log = logging.getLogger(__name__)

_FACES = 2_000  # of each training stream
_TESTED = 500  # of each tested data set
_THREADS = 8


def measure_training(
    streams: Mapping[str, Sequence[FaceTable]], *, image_size: int, inputs: Sequence[str]
) -> CropStatistics | None:
    """Measure a regular sample of the faces that a network is trained on, including unlabelled ones.

    Args:
        streams: "train", and "unlabeled" if the method reads it.
        image_size: side of the network's input, pixels.
        inputs: of the network; crops are measured if it reads images.

    Returns:
        The statistics; None if the network reads no images and the crops have no features.

    Raises:
        DataError: a file that cannot be read.
    """
    trained = [streams[name] for name in ("train", UNLABELED) if streams.get(name)]
    files = [file for tables in trained for file in _spread(tables, _FACES)]
    rows = _measure(files, image_size=image_size, inputs=inputs)
    if not rows[0]:
        return None
    values = {name: [row[name] for row in rows] for name in rows[0]}
    known = {str(each) for tables in trained for table in tables if table.has_subjects for each in table.identities}
    return CropStatistics.measured(values, subjects=len(known) or None)


def compare_with_training(
    training: CropStatistics | None, tables: Sequence[FaceTable], *, image_size: int, inputs: Sequence[str]
) -> None:
    """Warn in one line per data set whose faces are unlike the training faces; do nothing if `training` is None.

    Raises:
        DataError: a file that cannot be read.
    """
    if training is None:
        return
    for table in tables:
        tally = OutsideTally(training)
        for values in _measure(_spread([table], _TESTED), image_size=image_size, inputs=inputs):
            tally.add(values)
        if line := tally.line():
            log.warning("%s: %s", table.name, line)


def _spread(tables: Sequence[FaceTable], count: int) -> list[str]:
    files = [str(file) for table in tables for file in table.files]
    return [files[row] for row in np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).astype(int))]


def _measure(files: Sequence[str], *, image_size: int, inputs: Sequence[str]) -> list[dict[str, float]]:
    """Statistics of every face; those of features where all faces have them."""
    features = _features(files)

    def measure(row: int) -> dict[str, float]:
        pixels = None
        if IMAGES in inputs:
            # Photographs of 12 million pixels need no full decoding: the rest is still averaged.
            pixels = fit(read_image(files[row], shortest=2 * image_size), image_size)
        return face_statistics(pixels, None if features is None else features[row], image_size=image_size)

    measured = []
    with ThreadPoolExecutor(_THREADS) as pool, progress_bar("Measuring crops", len(files), unit="faces") as bar:
        for values in pool.map(measure, range(len(files))):
            measured.append(values)
            bar.advance()
    return measured


def _features(files: Sequence[str]) -> FeatureStore | None:
    try:
        return read_features(files, key="data")
    except DataError as error:
        log.debug("sizes and poses of faces are not known: %s", error)
        return None
