"""What to crop: videos and folders of images, each with a unique name below the crops."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import abspath, commonpath
from pathlib import Path

from faceflow.datasets.published import File, Recording
from faceflow.errors import DataError
from faceflow.faces.video import VIDEO_SUFFIXES
from faceflow.images import IMAGE_SUFFIXES
from faceflow.packs.layout import inside, pack_folder
from faceflow.packs.pack import opened
from faceflow.packs.rows import read_names
from faceflow.storage.urls import with_urls

_NUMBERED = "{:06d}"
SUFFIXES = VIDEO_SUFFIXES.union(IMAGE_SUFFIXES)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video, or the images of one folder.

    `name` is the folder of its crops, unique and "/"-separated, empty for images at the top. `images` are its files by
    frame number, None for a video. Frames of a `sequence` follow each other in time, so faces are tracked through it;
    photographs are independent. `recording` is its entry in a data set. `copies` is the folder of local copies if the
    files are on a store.
    """

    name: str
    file: File
    images: Mapping[int, Path] | None
    sequence: bool
    recording: Recording | None = None
    copies: Path | None = None

    @property
    def title(self) -> str:
        """File or folder as the user named it."""
        return self._named(str(self.file))

    def frame_name(self, number: int) -> str:
        """Name of a frame's crops, without extension: the frame number, or the file name of a photograph."""
        if self.sequence or self.images is None:
            return _NUMBERED.format(number)
        path = self.images[number]
        return path.stem if self._stems[path.stem] == 1 and path.stem not in self._names else path.name

    @cached_property
    def _stems(self) -> Counter[str]:
        return Counter(path.stem for path in self.images.values()) if self.images else Counter()

    @cached_property
    def _names(self) -> set[str]:
        return {path.name for path in self.images.values()} if self.images else set()

    def frame_file(self, number: int) -> str:
        """File that a frame comes from, as the user named it."""
        return self._named(str(self.images[number] if self.images is not None else self.file))

    def _named(self, path: str) -> str:
        return path if self.copies is None else with_urls(path, self.copies)


@dataclass(frozen=True, kw_only=True)
class FoundClips:
    """Content of sources: `clips`, and the number of other files, by suffix, that were skipped."""

    clips: list[Clip]
    passed_over: Counter[str]

    def line(self) -> str:
        """Line about the skipped files."""
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in self.passed_over.most_common())
        return f"Skipped {self.passed_over.total()} files without the suffix of a video or image: {kinds}"


def find_clips(sources: Sequence[str], *, skip: Collection[Path] = ()) -> list[Clip]:
    """Find videos and images; see `search`."""
    return search(sources, skip=skip).clips


def search(sources: Sequence[str], *, skip: Collection[Path] = (), copies: Path | None = None) -> FoundClips:
    """Find videos and images in files, globs, folders (recursively) and packed sets. No file is taken twice.

    Args:
        sources: paths and patterns.
        skip: files and whole folders that are not sources: results of an earlier run.
        copies: folder of local copies of files on a store.

    Raises:
        DataError: a source that does not exist, or has neither images nor videos.
    """
    skipped = {_absolute(path) for path in skip}
    taken: set[Path] = set()
    videos: dict[str, Path] = {}
    folders: dict[str, Path] = {}
    images: dict[str, list[Path]] = {}
    others: dict[Path, str] = {}
    for source in sources:
        files, top = _files(source)
        files = [path for path in files if skipped.isdisjoint([_absolute(path), *_absolute(path).parents])]
        if not Path(source).is_dir():
            for path in files:
                _check_name(path)
        unknown = {path: kind for path in files if (kind := _unknown_kind(path))}
        known = [path for path in files if path not in unknown]
        others |= {_absolute(path): kind for path, kind in unknown.items()}
        if not known:
            kinds = Counter(unknown.values()).most_common(3)
            found = ", ".join(f"{count} x {suffix}" for suffix, count in kinds) or "no file"
            raise DataError(
                f"source: expected images ({_words(IMAGE_SUFFIXES)}) or videos ({_words(VIDEO_SUFFIXES)}), got {found} "
                f"in '{source}'; check the path"
            )
        for path in known:
            if _absolute(path) in taken:
                continue
            taken.add(_absolute(path))
            relative = path.relative_to(top)
            if path.suffix.lower() in VIDEO_SUFFIXES:
                videos[_free(relative.as_posix(), videos, path)] = path
            else:
                parent = relative.parent.as_posix()
                folder = _free("" if parent == "." else parent, folders, path.parent)
                folders[folder] = path.parent
                images.setdefault(folder, []).append(path)
    clips = [
        Clip(name=name, file=path, images=None, sequence=True, copies=copies)
        for name, path in _short_names(videos, images)
    ]
    for folder, paths in images.items():
        numbered = dict(enumerate(sorted(paths), start=1))
        clips.append(Clip(name=folder, file=paths[0].parent, images=numbered, sequence=False, copies=copies))
    return FoundClips(clips=sorted(clips, key=lambda clip: clip.name), passed_over=Counter(others.values()))


def clips_of(recordings: Iterable[Recording]) -> list[Clip]:
    """Turn the recordings of a data set into clips; a recording without a subject is a folder of photographs."""
    return [
        Clip(name=item.name, file=item.file, images=item.frames, sequence=bool(item.subject), recording=item)
        for item in recordings
    ]


def _files(source: str) -> tuple[list[Path], Path]:
    """Sorted files of a source, or images of a packed set, and the folder that their names are relative to."""
    path = Path(source)
    if folder := pack_folder(path):
        top = inside(folder)
        return [top / name for name in read_names(opened(str(folder)), key="source")], top
    if path.is_dir():
        return [found for found in _walk(path) if _is_file(found)], path
    if path.exists():
        return [path], path.parent
    matches = [Path(match) for match in sorted(glob.glob(_pattern(path), recursive=True))]  # noqa: PTH207  (absolute)
    files = [found for match in matches for found in (_walk(match) if match.is_dir() else [match]) if _is_file(found)]
    if not files:
        several = f", or write a list: 'source=[{source}]'" if "," in source else ""
        raise DataError(
            f"source: expected a file, a folder or a pattern that matches, got '{source}'; check the path{several}"
        )
    top = Path(commonpath([file.parent for file in files]))
    return files, top


def _pattern(path: Path) -> str:
    """Path as a glob pattern, with its existing folders escaped, whatever their names."""
    there = next(folder for folder in path.parents if folder.is_dir())
    return str(Path(glob.escape(str(there)), path.relative_to(there)))


def _walk(folder: Path) -> list[Path]:
    """Everything below a folder except hidden files and folders."""
    found = folder.rglob("*")
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _is_file(path: Path) -> bool:
    """Whether a path is a file; a broken link counts as one that cannot be read, as its disk may not be mounted."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _free(name: str, taken: Mapping[str, Path], path: Path) -> str:
    """Free name of a clip: if two sources have files of one name, the second is named by its full path."""
    return name if taken.get(name, path) == path else _absolute(path).as_posix().lstrip("/")


def _short_names(videos: Mapping[str, Path], images: Mapping[str, object]) -> list[tuple[str, Path]]:
    """Names without extension, unless two clips would share one."""
    stems = Counter(Path(name).with_suffix("").as_posix() for name in videos)
    named = []
    for name, path in videos.items():
        stem = Path(name).with_suffix("").as_posix()
        free = stems[stem] == 1 and stem not in images and stem not in videos
        named.append((stem if free else name, path))
    return named


def _absolute(path: Path) -> Path:
    return Path(abspath(path))  # noqa: PTH100  (removes "..", but follows no links)


def _unknown_kind(path: Path) -> str | None:
    """Kind of a file that is skipped; None for files that are read."""
    if not _is_utf8(path):
        return "with a name that is not UTF-8"
    suffix = path.suffix.lower()
    return None if suffix in SUFFIXES else suffix or "no suffix"


def _check_name(path: Path) -> None:
    if not _is_utf8(path):
        raise DataError(f"source: expected file names in UTF-8, got {os.fsencode(path)!r}; rename it")


def _is_utf8(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def _words(suffixes: Iterable[str]) -> str:
    return " ".join(sorted(suffix.lstrip(".") for suffix in suffixes))
