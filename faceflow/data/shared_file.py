"""A file that the processes of a run share and that disappears with them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SharedFile:
    """A file that processes read, write and append to, each through its own handles, opened on first use.

    On Linux it has no name, so that nothing is left behind however the run ends; other processes open it through the
    process that created it.

    Args:
        folder: its folder; None for memory or, on systems without files in memory, the folder for temporary files.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is None and hasattr(os, "memfd_create"):
            number, name = os.memfd_create("faceflow"), None
        else:
            number, name = tempfile.mkstemp(prefix="faceflow-", dir=folder)
        by_process = Path(f"/proc/{os.getpid()}/fd/{number}")
        if name is not None and by_process.exists():
            Path(name).unlink()
            name = None
        self._path = name or str(by_process)
        self._handles: tuple[int, FileIO, FileIO] | None = None
        weakref.finalize(self, _remove, number, name, os.getpid())

    def read(self, size: int, *, at: int) -> NDArray[np.uint8]:
        """Read bytes from a position, (size,); fewer at the end of the file."""
        content = np.empty(size, np.uint8)  # not zeroed first, nor copied: half of the time with large images
        handle, _ = self._own()
        handle.seek(at)
        return content[: handle.readinto(content.data)]

    def write(self, content: bytes, *, at: int) -> None:
        """Write bytes at a position, which may be beyond the end."""
        handle, _ = self._own()
        handle.seek(at)
        handle.write(content)

    def append(self, content: NDArray[Any]) -> int:
        """Append the bytes of an array in one write, and return their end position.

        Raises:
            OSError: there is no room.
        """
        _, end = self._own()
        if end.write(content.data) != content.nbytes:
            raise OSError(0, "no space left on the disk")
        return end.tell()

    @property
    def size(self) -> int:
        """Size in bytes."""
        return os.fstat(self._own()[0].fileno()).st_size

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the handles, which belong to one process."""
        return self.__dict__ | {"_handles": None}

    def _own(self) -> tuple[FileIO, FileIO]:
        if (
            self._handles is None or self._handles[0] != os.getpid()
        ):  # handles of a parent share its position in the file
            self._handles = os.getpid(), FileIO(self._path, "r+"), FileIO(self._path, "a")
            for handle in self._handles[1:]:
                weakref.finalize(self, handle.close)
        return self._handles[1:]


def free_bytes(folder: Path | None) -> int:
    """Free bytes on the disk of a folder, or available memory for None."""
    if folder is not None:
        return shutil.disk_usage(folder).free
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return shutil.disk_usage(tempfile.gettempdir()).free


def _remove(number: int, name: str | None, process: int) -> None:
    if os.getpid() == process:  # a forked process ends with it open
        os.close(number)
        if name is not None:
            Path(name).unlink(missing_ok=True)
