"""Find the files of a data set whose folders may have been renamed, nested or left zipped when it was copied."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from faceflow.datasets.published import File, ZipMember
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Key = TypeVar("Key")


def open_root(root: str | None, data_set: str) -> Path:
    """Folder of a data set, as set by the user.

    Raises:
        ConfigError: not set, or no folder.
    """
    if not root:
        raise ConfigError(f"root: expected the folder of {data_set}, got nothing; set root=FOLDER")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"root: expected the folder of {data_set}, got '{root}'; check the path")
    return folder


def find(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Folders and zip archives whose whole name matches: those in a folder or, if there are none, one level deeper.

    Folders come before archives.
    """
    for depth in ("*", "*/*"):
        found = [path for path in folder.glob(depth) if pattern.fullmatch(path.name)]
        places = [path for path in found if path.is_dir() or path.suffix.lower() == ".zip"]
        if places:
            return sorted(places, key=lambda path: (path.is_file(), path))
    return []


def files_in(place: Path) -> Sequence[File]:
    """All files below a folder or in a zip archive, sorted by path.

    Raises:
        DataError: not a zip archive, or one with a member that would be unpacked outside its folder.
    """
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file())
    try:
        with zipfile.ZipFile(place) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{place}: expected a zip archive, got a broken file ({error}); copy it again") from error
    for member in members:
        path = PureWindowsPath(member)  # knows both kinds of slash, and drives
        if ".." in path.parts or path.anchor:
            raise DataError(
                f"{place}: expected members inside the archive, got '{member}'; unsafe archives are not read: "
                "download the original"
            )
    return [ZipMember(place, member) for member in sorted(members)]


def index_files(places: Iterable[Path], key_of: Callable[[str], Key | None]) -> dict[Key, File]:
    """Files of some folders and archives by a key in their names; files without a key are skipped as foreign.

    A file that is in both a folder and an archive is read from the folder.

    Args:
        places: what `find` found.
        key_of: reads the key from a file name; None if there is none.

    Raises:
        DataError: two files of the same kind with one key.
    """
    found: dict[Key, File] = {}
    for place in places:
        for file in files_in(place):
            key = key_of(file.name)
            if key is None:
                continue
            known = found.setdefault(key, file)
            if known != file and isinstance(known, Path) == isinstance(file, Path):
                raise DataError(f"{file}: expected one such file, got '{known}' too; remove one")
    return found


def subfolders(places: Iterable[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    """Folders two levels below some places by name, "SUBJECT/folder", where the whole name matches.

    Raises:
        DataError: two folders with one name.
    """
    found: dict[str, Path] = {}
    for place in places:
        for folder in sorted(place.glob("*/*/")):
            name = f"{folder.parent.name.upper()}/{folder.name}"
            if pattern.fullmatch(name) and found.setdefault(name, folder) != folder:
                raise DataError(f"{folder}: expected one folder for {name}, got '{found[name]}' too; remove one")
    return found


def in_both(data_set: str, labels: Collection[str], images: Collection[str]) -> list[str]:
    """Sorted names that have both labels and images (or a video); a warning counts the others."""
    for alone, lacking in ((set(images) - set(labels), "labels"), (set(labels) - set(images), "video or images")):
        if alone:
            log.warning("%s: left out recordings without %s: %d, such as %s", data_set, lacking, len(alone), min(alone))
    return sorted(set(labels) & set(images))


def not_found(data_set: str, layout: str, root: Path) -> DataError:
    """Error for a root without recordings: what was expected, and what is there."""
    entries = sorted(path.name for path in root.iterdir())
    got = ", ".join(f"'{name}'" for name in entries[:5]) + (", ..." if len(entries) > 5 else "")
    return DataError(f"root: expected {data_set} as {layout} in '{root}', got {got or 'an empty folder'}; check root")
