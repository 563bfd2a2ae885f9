"""An open packed set: where each image is, and its bytes."""

from __future__ import annotations

import functools
import os
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.packs.layout import INDEX, Manifest, name_hash, read_manifest, split_path

# Rows of the index (7, N), sorted by the first: hash of the image's name, hash of its content, its shard, its start in
# the shard, its size in bytes, the start of its features (-1: none), and whether the image is intact.
NAMES, CONTENTS, SHARDS, STARTS, SIZES, FEATURE_STARTS, WHOLE = range(7)

_OPEN_FILES = 128  # of shards, in each process
_OPEN_PACKS = 64


class Pack:
    """Images of a packed set by name. The index is memory-mapped, so that all processes share it.

    Raises:
        DataError: it cannot be read, is damaged, or is of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Manifest = read_manifest(folder)
        path = folder / INDEX
        try:
            index = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = (error.strerror or "") if isinstance(error, OSError) else "an incomplete array"
            raise DataError(f"{path}: expected the index of a packed set, got '{reason}'; pack again") from error
        expected = (len(range(7)), self.manifest.pictures)
        if index.dtype != np.int64 or index.shape != expected:
            raise DataError(
                f"{path}: expected an index of {expected[1]} images, as in pack.json, got {index.shape} of "
                f"{index.dtype}; pack again"
            )
        self.index: NDArray[np.int64] = np.asarray(index)
        self.shards = [folder / shard.name for shard in self.manifest.shards]

    def find(self, name: str) -> int | None:
        """Position of an image in the index; None if it is not there."""
        number, names = name_hash(name), self.index[NAMES]
        place = int(np.searchsorted(names, number))
        return place if place < len(names) and names[place] == number else None

    def content(self, place: int) -> bytes:
        """Bytes of an image.

        Raises:
            OSError: they cannot be read, or the shard is shorter than it was.
        """
        _, _, shard, start, size, *_ = self.index[:, place].tolist()
        return read_part(self.shards[shard], start, size)


@functools.lru_cache(_OPEN_PACKS)
def opened(folder: str) -> Pack:
    """Packed set in a folder, as it was when this process first opened it."""
    return Pack(Path(folder))


def forget_opened() -> None:
    """Make this process reopen packed sets on their next use."""
    opened.cache_clear()
    _handle.cache_clear()


def picture_in_pack(path: str | Path) -> tuple[Pack, int] | None:
    """Packed set and position of the image at a path; None for a path that is not in a packed set.

    Raises:
        DataError: see `Pack`.
        FileNotFoundError: the packed set has no such image.
    """
    found = split_path(path)
    if found is None:
        return None
    pack = opened(found[0])
    place = pack.find(found[1])
    if place is None:
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return pack, place


def look_up(paths: Sequence[str | Path]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Look up many images in the indices of packed sets; no shard is opened.

    Returns:
        Whether each path is that of an intact image in a packed set, (N,), and if so the hash of its content, (N,).

    Raises:
        DataError: see `Pack`.
    """
    whole, contents = np.zeros(len(paths), np.bool_), np.zeros(len(paths), np.int64)
    rows: dict[str, list[int]] = {}
    hashes: dict[str, list[int]] = {}
    for row, path in enumerate(paths):
        if found := split_path(path):
            rows.setdefault(found[0], []).append(row)
            hashes.setdefault(found[0], []).append(name_hash(found[1]))
    for folder, numbers in hashes.items():
        index, sought = opened(folder).index, np.array(numbers, np.int64)
        if index.shape[1]:
            places = np.searchsorted(index[NAMES], sought).clip(max=index.shape[1] - 1)
            whole[rows[folder]] = (index[NAMES, places] == sought) & (index[WHOLE, places] == 1)
            contents[rows[folder]] = index[CONTENTS, places]
    return whole, contents


def has_picture(path: str | Path) -> bool:
    """Whether a path is that of an image in a packed set."""
    try:
        return picture_in_pack(path) is not None
    except FileNotFoundError:
        return False


def read_part(path: Path, start: int, size: int) -> bytes:
    """Read `size` bytes of a file from `start` on.

    Raises:
        OSError: it cannot be read, or is too short.
    """
    if sys.platform == "win32":
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(size)
    else:
        handle = _handle(str(path))  # held, so that it is not closed meanwhile
        content = os.pread(handle.number, size, start)
    if len(content) != size:
        raise OSError(5, f"a truncated shard, '{path.name}'")
    return content


class _Handle:
    """A file that is closed when no thread reads it any more."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


@functools.lru_cache(_OPEN_FILES)
def _handle(path: str) -> _Handle:
    return _Handle(path)
