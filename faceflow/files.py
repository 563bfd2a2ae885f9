"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from faceflow.errors import DataError

_LEFTOVER = re.compile(r"\..+\.\d+\.tmp")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it when the block ends well; missing folders are made.

    Raises:
        DataError: the file cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # as _LEFTOVER finds it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: expected a file that can be written, got '{reason}'; check disk and path") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


class FileWatch:
    """Tells which files were written after it was made."""

    def __init__(self, *paths: Path) -> None:
        self._before = {path: _state(path) for path in paths}

    def written(self, path: Path) -> bool:
        """Whether one of its files is there and is not what it was; clocks of file servers do not matter."""
        now = _state(path)
        return now is not None and now != self._before[path]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def remove_leftovers(folder: Path, *, older_than_s: float) -> None:
    """Remove what killed processes left of files below a folder that `whole_file` had begun."""
    for path in folder.rglob(".*"):
        if _LEFTOVER.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):  # its process may be alive, and just renamed it
                if path.is_file() and time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
