"""Features of the faces of a data set, which `faceflow-crop` stored beside the crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.feature_file import RECORD, features_beside, open_records, packed_record, unpack
from faceflow.images import hash_contents
from faceflow.packs.layout import split_path

_COMPARED = 8  # images per recording: its features are written together, so all of them are right or none

_INSTEAD = "a model that reads only pixels, such as model=default"

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureStore:
    """Features of N faces, which stay on disk, so that the object can be pickled for loader processes.

    `file` (N,) and `start` (N,) are the index in `paths` and the byte offset of each row; `kinds` are the record types.
    """

    paths: tuple[Path, ...]
    kinds: tuple[np.dtype[np.void], ...]
    file: Rows
    start: Rows

    def __len__(self) -> int:
        """Count of rows."""
        return len(self.file)

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        """Features (FEATURES,) of a row.

        Raises:
            DataError: the file is gone, or shorter than it was.
        """
        number = self.file[row]
        path, kind = self.paths[number], self.kinds[number]
        try:
            # Read, not mapped: a map keeps its file open, and there may be thousands.
            with path.open("rb", buffering=0) as file:
                file.seek(int(self.start[row]))
                content = file.read(kind.itemsize)
            return unpack(np.frombuffer(content, kind, count=1)[0])
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: expected the features it held at the start, got '{error}'; crop again to another output"
            ) from error


def read_features(files: Sequence[str], *, key: str, instead: str = _INSTEAD) -> FeatureStore:
    """Find the features of crops.

    Args:
        files: of the crops.
        key: names them in messages.
        instead: alternative to name in the message if there are none.

    Raises:
        DataError: a crop without features, features of other images, or a damaged file.
    """
    folders: dict[str, list[int]] = {}
    for row, name in enumerate(files):
        folders.setdefault(str(Path(name).parent), []).append(row)
    places = np.zeros((2, len(files)), np.int64)
    kinds: dict[Path, np.dtype[np.void]] = {}  # by file, in their order
    compared, hashes = [], []
    for folder, rows in folders.items():
        if split_path(files[rows[0]]):
            _find_packed(files, rows, places, kinds, none=lambda row: _none(key, files[row], instead))
            continue
        path = features_beside(Path(folder))
        try:
            records = open_records(path) if path else None
        except FileNotFoundError:
            records = None
        if path is None or records is None:
            raise _none(key, files[rows[0]], instead)
        known = {name: record for record, name in enumerate(records["crop"].tolist())}
        found = [known.get(Path(files[row]).name.encode(), -1) for row in rows]
        if -1 in found:
            raise _none(key, files[rows[found.index(-1)]], instead)
        places[0, rows] = len(kinds)
        places[1, rows] = records.offset + np.array(found) * records.dtype.itemsize
        step = -(-len(rows) // _COMPARED)
        compared += rows[::step]
        hashes += records["picture"][found[::step]].tolist()
        kinds[path] = records.dtype
    paths = tuple(kinds)
    for row, held, expected in zip(compared, hash_contents([files[row] for row in compared]), hashes, strict=True):
        if held != expected:
            raise DataError(
                f"{paths[places[0, row]]}: expected features of the crops in '{Path(files[row]).parent}', got those of "
                f"other images, for example for '{Path(files[row]).name}'; crop again to another output"
            )
    return FeatureStore(paths=paths, kinds=tuple(kinds.values()), file=places[0], start=places[1])


def _find_packed(
    files: Sequence[str],
    rows: Sequence[int],
    places: Rows,
    kinds: dict[Path, np.dtype[np.void]],
    *,
    none: Callable[[int], DataError],
) -> None:
    """Find the features of images in packed sets, whose index stores where they start."""
    numbers = {path: number for number, path in enumerate(kinds)}
    for row in rows:
        found = packed_record(files[row])
        if found is None:
            raise none(row)
        kinds.setdefault(found[0], np.dtype(RECORD))
        places[:, row] = numbers.setdefault(found[0], len(kinds) - 1), found[1]


def _none(key: str, file: str, instead: str) -> DataError:
    return DataError(
        f"{key}: expected features of every face, got none for '{file}'; crop the images (those of faceflow-render "
        f"too) with: faceflow-crop detector=mediapipe_landmarks, or use {instead}"
    )
