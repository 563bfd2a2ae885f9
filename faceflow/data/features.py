"""Features of the faces of a data set: what `faceflow-crop` kept beside their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.feature_file import features_beside, open_records, unpack
from faceflow.images import hash_contents

_COMPARED = 8  # pictures per recording: its features are written together, so that all are right or none

_INSTEAD = "a model that reads pixels alone, such as model=default"

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureStore:
    """Features of N faces, which stay on disk: they can be pickled for the processes of a loader.

    `file` (N,) and `record` (N,) say where each row lies in `paths`; `kinds` and `starts` are the records' layout.
    """

    paths: tuple[Path, ...]
    kinds: tuple[np.dtype[np.void], ...]
    starts: tuple[int, ...]
    file: Rows
    record: Rows

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
            # Read, not mapped: a map holds a file open, and there may be thousands.
            with path.open("rb", buffering=0) as file:
                file.seek(self.starts[number] + int(self.record[row]) * kind.itemsize)
                content = file.read(kind.itemsize)
            return unpack(np.frombuffer(content, kind, count=1)[0])
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: expected the features it had before, got '{error}'; crop again to another output"
            ) from error


def read_features(files: Sequence[str], *, key: str, instead: str = _INSTEAD) -> FeatureStore:
    """Find the features of crops.

    Args:
        files: of the crops.
        key: what names them in messages.
        instead: what to take where there are none.

    Raises:
        DataError: a crop without features, features of other pictures, or a damaged file.
    """
    folders: dict[str, list[int]] = {}
    for row, name in enumerate(files):
        folders.setdefault(str(Path(name).parent), []).append(row)
    places = np.zeros((2, len(files)), np.int64)
    paths, kinds, starts, compared, hashes = [], [], [], [], []
    for number, (folder, rows) in enumerate(folders.items()):
        path = features_beside(Path(folder))
        try:
            records = open_records(path) if path else None
        except FileNotFoundError:
            records = None
        if path is None or records is None:
            raise _none(key, files[rows[0]], instead)
        known = {name: record for record, name in enumerate(records["crop"].tolist())}
        found = [known.get(Path(files[row]).name.encode()) for row in rows]
        for row, record in zip(rows, found, strict=True):
            if record is None:
                raise _none(key, files[row], instead)
            places[:, row] = number, record
        sample = rows[:: -(-len(rows) // _COMPARED)]
        compared += sample
        hashes += records["picture"][places[1, sample]].tolist()
        paths.append(path)
        kinds.append(records.dtype)
        starts.append(records.offset)
    for row, held, expected in zip(compared, hash_contents([files[row] for row in compared]), hashes, strict=True):
        if held != expected:
            raise DataError(
                f"{paths[places[0, row]]}: expected features of the crops in '{Path(files[row]).parent}', got those of "
                f"other pictures, as for '{Path(files[row]).name}'; crop again to another output"
            )
    return FeatureStore(paths=tuple(paths), kinds=tuple(kinds), starts=tuple(starts), file=places[0], record=places[1])


def _none(key: str, file: str, instead: str) -> DataError:
    return DataError(
        f"{key}: expected features of every face, got none for '{file}'; crop the pictures (also those of "
        f"faceflow-render) with: faceflow-crop detector=mediapipe_landmarks, or take {instead}"
    )
