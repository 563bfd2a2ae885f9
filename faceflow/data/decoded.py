"""Decoded images kept between epochs and shared by all loader processes."""

from __future__ import annotations

import logging
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import get_worker_info

from faceflow.checks import check_choice, check_number
from faceflow.data.shared_file import SharedFile, free_bytes
from faceflow.errors import ConfigError
from faceflow.images import Image, read_image

log = logging.getLogger(__name__)

NONE, RAM, DISK = "none", "ram", "disk"
_ENTRY = struct.Struct("<qii")  # end of an image in the file, height, width; zeros: none
_GB = 10**9

Decode = Callable[[str], Image]  # reads the image of a file


@dataclass(frozen=True, kw_only=True)
class ImageCache:
    """Where decoded images are kept: `place` is none, ram or disk; at most `gb` per device; `folder` is for disk."""

    place: str
    gb: float
    folder: str | None

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: names the key.
        """
        check_choice(self.place, key="loader.cache", options=(NONE, RAM, DISK))
        check_number(self.gb, key="loader.cache_gb", expected="a number of gigabytes > 0", valid=lambda x: x > 0)
        if self.place == DISK and self.folder is not None and not Path(self.folder).expanduser().is_dir():
            raise ConfigError(
                f"loader.cache_folder: expected a folder, got '{self.folder}'; create it, or leave the key out to use "
                f"{tempfile.gettempdir()}"
            )

    @property
    def used(self) -> bool:
        """Whether images are kept at all."""
        return self.place != NONE

    def open(self, share: float) -> DecodedImages | None:
        """Open a cache for a data set that may use this share of it; None if nothing is kept."""
        if not self.used:
            return None
        folder = None if self.place == RAM else Path(self.folder or tempfile.gettempdir()).expanduser()
        return DecodedImages(folder, limit=int(self.gb * _GB * share))


class DecodedImages:
    """Images by row, (H, W, 3) uint8, written once and read by all processes that share this object.

    They are appended to one file; a second file stores where each image is. Appending needs no lock; an image that two
    processes add at the same time is stored twice. On Linux neither file has a name, so that nothing is left behind.

    Args:
        folder: folder of the files; None for memory.
        limit: bytes of images; others are decoded again in every epoch.
    """

    def __init__(self, folder: Path | None, *, limit: int) -> None:
        self.limit, self._folder = limit, folder
        self._images, self._entries = SharedFile(folder), SharedFile(folder)
        self._open = True

    def read(self, row: int, file: str, decode: Decode = read_image) -> Image:
        """Read the image of a row from the cache, or from its file if it is not cached yet.

        Raises:
            DataError: see `read_image`.
        """
        kept = self._kept(row)
        if kept is None:
            kept = decode(file)
            self._keep(row, kept)
        return kept

    def check_room(self, rows: int, file: str, decode: Decode = read_image) -> None:
        """Warn if not all rows will fit, judging by the size of the first."""
        each = decode(file).nbytes
        free = free_bytes(self._folder)
        fitting = min(self.limit, free) // each
        if fitting < rows:
            key = "loader.cache_gb" if self.limit <= free else "loader.cache"
            log.warning(
                "%s: room for about %s of %s decoded images, %.1f GB of %.1f; the others are decoded in every epoch",
                *(key, f"{fitting:,}", f"{rows:,}", fitting * each / _GB, rows * each / _GB),
            )

    def _kept(self, row: int) -> Image | None:
        entry = self._entries.read(_ENTRY.size, at=row * _ENTRY.size)
        end, height, width = _ENTRY.unpack(entry.data) if len(entry) == _ENTRY.size else (0, 0, 0)
        if not end:
            return None
        size = height * width * 3
        pixels = self._images.read(size, at=end - size)
        return pixels.reshape(height, width, 3) if len(pixels) == size else None

    def _keep(self, row: int, image: Image) -> None:
        if not self._open or self._images.size + image.nbytes > self.limit:
            return
        try:
            end = self._images.append(np.ascontiguousarray(image))
            self._entries.write(_ENTRY.pack(end, *image.shape[:2]), at=row * _ENTRY.size)
        except OSError as error:
            self._open = False
            if (worker := get_worker_info()) is None or worker.id == 0:
                log.warning("loader.cache: %s; further images are decoded in every epoch", str(error.strerror).lower())
