"""What a clone without its large files, or a download that was refused, leaves in place of a file."""

from __future__ import annotations

from pathlib import Path

_READ = 1024  # bytes
_POINTER = b"version https://git-lfs.github.com/"
_PAGE = (b"<!doctype html", b"<html")


def stand_in(path: Path) -> str | None:
    """Name what stands in a file's place and what to do, None where nothing does.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_READ).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(_POINTER):
        return f"a Git LFS pointer to it: '{path}'; run: git lfs pull"
    if head.lower().startswith(_PAGE):
        return f"a web page: '{path}'; download the file itself"
    return None
