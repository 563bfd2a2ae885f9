"""Features of the faces of a recording in one file: a NumPy array of records, one per crop, of 3 kB each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, POSE
from faceflow.files import whole_file
from faceflow.packs.pack import FEATURE_STARTS, SHARDS, picture_in_pack

Records = NDArray[np.void]

FOLDER, SUFFIX = "features", ".npy"
# Fields of a record, after the name of its crop in files that store it.
RECORD = [
    ("picture", "<i8"),
    ("step", "<f4"),
    ("origin", "<i4", (3,)),
    ("landmarks", "<i2", (LANDMARKS, 3)),
    ("blendshapes", "<i2", (len(BLENDSHAPES),)),
    ("pose", "<f4", (len(POSE),)),
]
_STEP = 1 / 32  # pixels; the largest error is half of it
_LARGEST = np.iinfo(np.int16).max
_ODDS_STEP = 1 / 1024
_CHUNK = 1024  # records


def crops_folder(path: Path) -> Path | None:
    """Folder of crops of faceflow-crop that a path is, or is in; None for other paths."""
    folders = (folder for folder in (path, *path.parents) if folder.name == "crops")
    return next((folder for folder in folders if (folder.parent / "crops.json").is_file()), None)


def features_beside(folder: Path) -> Path | None:
    """Feature file of the crops in a folder; None if the folder is not from faceflow-crop."""
    crops = crops_folder(folder)
    if crops is None:
        return None
    below = folder.relative_to(crops).as_posix()
    return feature_file(crops.parent, "" if below == "." else below)


def feature_file(folder: Path, below: str) -> Path:
    """Feature file of the crops in `crops/<below>` of a folder; `below` is empty for crops at the top."""
    path = folder / FOLDER / below
    return path.with_name(path.name + SUFFIX)


def packed_record(path: str | Path) -> tuple[Path, int] | None:
    """File with the features of an image in a packed set, and their offset in it; None if it has none.

    Raises:
        DataError: they are of another version, or see `picture_in_pack`.
    """
    found = picture_in_pack(path)
    start = int(found[0].index[FEATURE_STARTS, found[1]]) if found else -1
    if found is None or start < 0:
        return None
    held, size = found[0].manifest, np.dtype(RECORD).itemsize
    if held.record != size:
        raise DataError(
            f"{found[0].folder}: expected features of {size} bytes for each face, got {held.record} from another "
            "version of FaceFlow; crop and pack again"
        )
    return found[0].shards[found[0].index[SHARDS, found[1]]], start


def pack(vector: NDArray[np.float32], *, picture: int) -> Records:
    """Record () of the features (FEATURES,) of a face whose crop has the content hash `picture`.

    Landmarks are stored in steps of 1/32 pixel from their middle, in steps of twice that for faces of more than 2,000
    pixels, and so on. Blendshapes are stored in steps of 1/1024 of their log-odds, since networks read these and small
    values matter: that of a wrinkled nose stays below 1/10,000.
    """
    points, shapes, pose = np.split(vector.astype(np.float64), _ENDS)
    points, shapes = points.reshape(LANDMARKS, 3), shapes.clip(0, 1)
    low, high = points.min(axis=0), points.max(axis=0)
    step = _STEP
    while (high - low).max() / 2 > (_LARGEST - 1) * step:  # the middle is rounded too
        step *= 2
    origin = np.rint((low + high) / 2 / step)
    record = np.zeros((), RECORD)
    record["picture"], record["step"], record["origin"], record["pose"] = picture, step, origin, pose
    record["landmarks"] = np.rint(points / step) - origin
    with np.errstate(divide="ignore"):
        odds = np.log(shapes) - np.log1p(-shapes)  # infinite ones are clipped
    record["blendshapes"] = np.rint(odds / _ODDS_STEP).clip(-_LARGEST, _LARGEST)
    return record


def unpack(record: Records) -> NDArray[np.float32]:
    """Undo `pack`: features (FEATURES,)."""
    points = (record["origin"] + record["landmarks"].astype(np.int32)) * float(record["step"])
    shapes = 1 / (1 + np.exp(-_ODDS_STEP * record["blendshapes"]))
    return np.concatenate([points.ravel(), shapes, record["pose"]]).astype(np.float32)


class FeatureSpool:
    """Collects the records of a recording for its file; on disk, as an hour of video has hundreds of megabytes.

    Args:
        folder: folder of a temporary file without a name, which disappears with the process.

    Raises:
        DataError: a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[bytes] = []

    def __enter__(self) -> Self:
        with self._one_line():
            self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what is not yet written has been complained about
            self._file.close()

    def add(self, name: str, record: Records) -> None:
        """Add the record of a crop under its file name."""
        self._names.append(name.encode())
        with self._one_line():
            self._file.write(record.tobytes())

    def store(self, path: Path) -> None:
        """Write the file if there are records."""
        if not self._names:
            return
        kind = np.dtype([("crop", f"S{max(map(len, self._names))}"), *RECORD])
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (len(self._names),)}
        with self._one_line(), whole_file(path) as partial, partial.open("wb") as file:
            self._file.seek(0)
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(self._names), _CHUNK):
                names = self._names[start : start + _CHUNK]
                faces = np.frombuffer(self._file.read(len(names) * np.dtype(RECORD).itemsize), RECORD)
                records = np.zeros(len(names), kind)
                records["crop"] = names
                for field in faces.dtype.names or ():
                    records[field] = faces[field]
                file.write(records.tobytes())

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"{self._folder}: expected writable files, got '{reason}'; check disk and path") from error


def open_records(path: Path) -> np.memmap[Any, np.dtype[np.void]]:
    """Memory-map the records (N,) of a file; `crop` is the file name of each crop in UTF-8.

    Raises:
        FileNotFoundError: no such file.
        DataError: not a feature file, or a damaged one.
    """
    try:
        records = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error
    if (
        not isinstance(records, np.memmap)
        or (records.dtype.names or ())[:1] != ("crop",)
        or records.dtype.descr[1:] != np.dtype(RECORD).descr
    ):
        raise _damaged(path, "an array of another type")
    if (size := path.stat().st_size) != records.offset + records.nbytes:
        raise _damaged(path, f"{size} bytes instead of {records.offset + records.nbytes}")
    sound = (records["crop"] != b"") & (records["step"] >= _STEP) & np.isfinite(records["pose"]).all(axis=1)
    if not sound.all():
        raise _damaged(path, f"no face in record {int(np.argmin(sound)) + 1} of {len(records)}")
    return records


class CropRecords:
    """Finds the records of crops by their paths, folder by folder."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._records: Records
        self._names: dict[bytes, int] = {}

    def find(self, crop: Path) -> Records | None:
        """Record of a crop; None if it has none.

        Raises:
            DataError: a damaged file.
        """
        if self._folder != crop.parent:
            path = features_beside(crop.parent)
            self._folder, self._names = crop.parent, {}
            if path is not None and path.is_file():
                self._records = open_records(path)
                self._names = {name: place for place, name in enumerate(self._records["crop"].tolist())}
        place = self._names.get(crop.name.encode())
        return None if place is None else self._records[place]


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: expected a feature file of faceflow-crop, got {reason}; crop again to another output")


_ENDS = (3 * LANDMARKS, 3 * LANDMARKS + len(BLENDSHAPES))
