"""Pictures of a set as they are read to be packed, with their features."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import DataError
from faceflow.faces.feature_file import Records, features_beside, open_records
from faceflow.images import fault_of, hash_of

_READ_AT_ONCE = 256  # files


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Bytes of a picture and the hash of its content, None where there is no file; what is wrong with it, or None."""

    image: bytes | None
    content: int | None
    fault: str | None


def read_pictures(files: Sequence[str]) -> Iterator[Picture]:
    """Read pictures in their order, several at a time."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for start in range(0, len(files), _READ_AT_ONCE):
            yield from pool.map(_read, files[start : start + _READ_AT_ONCE])


class PackedFeatures:
    """Finds the features of crops as the bytes of their records, file by file."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._records: Records
        self._names: dict[bytes, int] = {}

    def of(self, file: str, content: int) -> bytes | None:
        """Record of the features of a crop, without its name; None where it has none.

        Raises:
            DataError: a damaged file, or features of another picture.
        """
        path = Path(file)
        if path.parent != self._folder:
            self._open(path.parent)
        place = self._names.get(path.name.encode())
        if place is None:
            return None
        record = self._records[place]
        if int(record["picture"]) != content:
            raise DataError(
                f"{features_beside(path.parent)}: expected features of '{path}', got those of another picture; crop "
                "again to another output"
            )
        row: bytes = record.tobytes()
        return row[self._records.dtype["crop"].itemsize :]

    def _open(self, folder: Path) -> None:
        path = features_beside(folder)
        self._folder, self._names = folder, {}
        if path is not None and path.is_file():
            self._records = open_records(path)
            self._names = {name: place for place, name in enumerate(self._records["crop"].tolist())}


def _read(file: str) -> Picture:
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123  (a Path costs more than the read)
            image = opened.read()
    except FileNotFoundError:
        return Picture(image=None, content=None, fault="no such file")
    except OSError as error:
        return Picture(image=None, content=None, fault=str(error.strerror).lower())
    return Picture(image=image, content=hash_of(io.BytesIO(image)), fault=fault_of(io.BytesIO(image)))
