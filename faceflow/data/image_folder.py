"""All images in a folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NoReturn

from faceflow.errors import DataError
from faceflow.images import IMAGE_SUFFIXES

log = logging.getLogger(__name__)


def image_names(folder: Path, *, key: str) -> list[str]:
    """Paths of all images below a folder, relative to it and sorted; hidden files and folders are skipped.

    Args:
        folder: links to folders are followed.
        key: config key that named it, for messages.

    Raises:
        DataError: it cannot be read, or has no image.
    """

    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"{key}: expected a folder that can be read, got '{error.filename}' ({error.strerror})")

    names: list[str] = []
    others = 0
    for current, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and not _leads_back(current, name)]
        visible = [name for name in files if not name.startswith(".")]
        images = [name for name in visible if name.lower().endswith(IMAGE_SUFFIXES)]
        others += len(visible) - len(images)
        below = os.path.relpath(current, folder)
        names += [name if below == "." else f"{below}/{name}" for name in images]
    if not names:
        endings = ", ".join(IMAGE_SUFFIXES)
        raise DataError(f"{key}: expected images ({endings}) in '{folder}', got none of {others} files")
    if others:
        log.info("%s: left out %d files in '%s' without the suffix of an image", key, others, folder)
    return sorted(names)


def _leads_back(folder: str, name: str) -> bool:
    """Whether a folder is a link to one of its own parents, which would loop forever."""
    link = Path(folder, name)
    return link.is_symlink() and Path(folder).resolve().is_relative_to(link.resolve())
