"""Reading images to pack, with their features."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import DataError
from faceflow.faces.feature_file import CropRecords, features_beside
from faceflow.images import fault_of, hash_of

_READ_AT_ONCE = 256  # files


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Bytes of an image and the hash of its content, None without a file; and what is wrong with it, or None."""

    image: bytes | None
    content: int | None
    fault: str | None


def read_pictures(files: Sequence[str]) -> Iterator[Picture]:
    """Read images in order, several at a time."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for start in range(0, len(files), _READ_AT_ONCE):
            yield from pool.map(_read, files[start : start + _READ_AT_ONCE])


class PackedFeatures:
    """Finds the features of crops as the bytes of their records, file by file."""

    def __init__(self) -> None:
        self._records = CropRecords()

    def of(self, file: str, content: int) -> bytes | None:
        """Feature record of a crop, without its name; None if it has none.

        Raises:
            DataError: a damaged file, or features of another image.
        """
        path = Path(file)
        record = self._records.find(path)
        if record is None:
            return None
        if int(record["picture"]) != content:
            raise DataError(
                f"{features_beside(path.parent)}: expected features of '{path}', got those of another image; crop "
                "again to another output"
            )
        row: bytes = record.tobytes()
        return row[record.dtype["crop"].itemsize :]


def _read(file: str) -> Picture:
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123  (a Path costs more than the read)
            image = opened.read()
    except FileNotFoundError:
        return Picture(image=None, content=None, fault="no such file")
    except OSError as error:
        return Picture(image=None, content=None, fault=str(error.strerror).lower())
    return Picture(image=image, content=hash_of(io.BytesIO(image)), fault=fault_of(io.BytesIO(image)))
