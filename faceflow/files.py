"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from faceflow.errors import DataError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it when the block ends well; missing folders are made.

    Raises:
        DataError: the file cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
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
