"""What is left in place of a file by a clone without Git LFS files, or by a download that was refused."""

from __future__ import annotations

from pathlib import Path

_READ = 1024  # bytes
_POINTER = b"version https://git-lfs.github.com/"
_PAGE = (b"<!doctype html", b"<html")


def stand_in(path: Path) -> str | None:
    """Say what is there instead of the file and what to do; None if it is the file itself.

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
