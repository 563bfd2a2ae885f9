"""Unlabelled faces: folders and CSVs of images, without what the user excludes.

Exclusions match files by their real path, and one that excludes nothing is an error.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import logging
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import Kind
from faceflow.checks import names_file
from faceflow.data.image_folder import image_names
from faceflow.data.label_scales import find_scales
from faceflow.data.labels import LabelFile, read_listing
from faceflow.data.packed import source_of
from faceflow.data.source_config import TableConfig, check_settings
from faceflow.data.sources import (
    UNLABELED,
    FaceTable,
    images_folder,
    list_faces,
    shared_rows,
    with_pictures,
    without_shared,
)
from faceflow.data.splits import real_paths
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from faceflow.images import find_faults
from faceflow.packs.layout import pack_folder
from faceflow.tables.reading import read_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class UnlabeledConfig(TableConfig):
    """Settings of one set; `configs/data/unlabeled/default.yaml` explains every key."""

    path: str | list[str] | None
    exclude: list[str]


@dataclass(frozen=True)
class _Faces:
    """Images of one path of a set: `below` are their paths below `root`, `real` those with links resolved.

    `root` ends with a slash.
    """

    root: str
    table: FaceTable
    below: list[str]
    real: list[str]


def read_unlabeled(sets: Mapping[str, Mapping[str, Any]], *, prefer: Kind) -> list[FaceTable]:
    """Read all sets of unlabelled faces; those without a path are left out.

    A file that is found twice, in one set or in two, is kept only the first time.

    Args:
        sets: key under `data.unlabeled` -> settings, see `UnlabeledConfig`.
        prefer: column to read if a tool wrote both intensity and occurrence as hidden labels.

    Returns:
        One table per path, in the split `UNLABELED`; without AU columns `scores` is (N, 0).

    Raises:
        ConfigError, DataError: a path without images, or an exclusion that excludes nothing.
    """
    tables = [table for key, settings in sets.items() for table in _read_set(key, UnlabeledConfig(**settings), prefer)]
    names = [table.name for table in tables]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"data.unlabeled: expected different names, got '{repeated[0]}' twice; set name: for one set, or remove "
            "a path"
        )
    return _without_repeats(tables)


def _read_set(key: str, config: UnlabeledConfig, prefer: Kind) -> list[FaceTable]:
    """One table per path; all share the units inferred from the hidden labels of all paths."""
    where = f"data.unlabeled.{key}"
    paths = _checked_paths(where, config)
    listings = [_read_listing(where, path, config, prefer) for path in paths]
    scales = find_scales(where, listings, config.score_max, config.occurrence_min)
    found = [_find_faces(where, key, config, file, scales) for file in listings]
    kept = _without_excluded(where, config.exclude, found)
    names = _table_names(config.name or key, paths)
    return [
        _without_broken(where, config, path, dataclasses.replace(table, name=name), len(faces.real))
        for path, name, faces, table in zip(paths, names, found, kept, strict=True)
    ]


def _checked_paths(where: str, config: UnlabeledConfig) -> list[Path]:
    check_settings(where, config)
    paths = [config.path] if isinstance(config.path, str) else config.path or []
    for key, texts in (("path", paths), ("exclude", config.exclude)):
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            raise ConfigError(f"{where}.{key}: expected a list of texts, got {getattr(config, key)!r}")
    return [Path(path).expanduser() for path in paths]


def _table_names(name: str, paths: Sequence[Path]) -> list[str]:
    """Name of each path's table: the name of the set, with the folder or file if there are several."""
    if len(paths) == 1:
        return [name]
    sources = [source_of(path) if pack_folder(path) else path for path in paths]
    short = [path.resolve().name if path.is_dir() else path.stem for path in sources]
    return [f"{name}:{path if short.count(part) > 1 else part}" for path, part in zip(paths, short, strict=True)]


def _read_listing(where: str, path: Path, config: UnlabeledConfig, prefer: Kind) -> LabelFile:
    """Rows of a CSV, or rows as of a CSV that lists the images of a folder."""
    if not path.is_dir() or pack_folder(path):
        key, missing = f"{where}.path", config.missing_values
        return read_listing(path, missing_values=missing, prefer=prefer, columns=config.columns, key=key)
    frame = pd.DataFrame({"filename": image_names(path, key=f"{where}.path")}, dtype=object)
    lines = frame.index.to_numpy(np.int64)
    return LabelFile(path=path, frame=frame, aus=(), scores=np.empty((len(frame), 0)), lines=lines)


def _find_faces(
    where: str, key: str, config: UnlabeledConfig, file: LabelFile, scales: Mapping[str, LabelScale]
) -> _Faces:
    if file.path.is_dir() and pack_folder(file.path) is None:
        config = dataclasses.replace(config, images=str(file.path))
    table, _ = list_faces(where, config, file, name=config.name or key, scales=scales, split=UNLABELED)
    root = os.path.join(os.path.abspath(images_folder(config, file)), "")  # noqa: PTH100, PTH118  (links stay links)
    files = table.files.tolist()
    return _Faces(root, table, below=[path[len(root) :] for path in files], real=real_paths(files))


def _without_excluded(where: str, entries: Sequence[str], found: Sequence[_Faces]) -> list[FaceTable]:
    """Leave out the images that the entries match, under all paths that lead to them."""
    excluded: set[str] = set()
    for entry in entries if found else ():
        path = Path(entry).expanduser()
        is_list = path.suffix.lower() in (".txt", ".csv") and path.is_file()
        hits = _listed(where, path, found) if is_list else _matching(str(path), found)
        if not hits:
            raise ConfigError(
                f"{where}.exclude: expected patterns and lists that exclude an image, got '{entry}', which matches "
                f"none of {sum(len(faces.real) for faces in found)} paths such as '{found[0].below[0]}'; correct it"
            )
        excluded |= hits
    return [faces.table.select(_mask(path not in excluded for path in faces.real), UNLABELED) for faces in found]


def _matching(pattern: str, found: Sequence[_Faces]) -> set[str]:
    """Real paths of the images that a pattern matches, by path below the folder or, if absolute, by full path."""
    fits = re.compile(fnmatch.translate(posixpath.normpath(pattern))).match
    hits = set()
    for faces in found:
        for below, real in zip(faces.below, faces.real, strict=True):
            if (fits(faces.root + below) or fits(real)) if posixpath.isabs(pattern) else fits(below):
                hits.add(real)
    return hits


def _listed(where: str, path: Path, found: Sequence[_Faces]) -> set[str]:
    """Real paths of the images that a file lists; a relative path may be below any folder of the set."""
    if path.suffix.lower() == ".csv":
        table = read_table(path, key=f"{where}.exclude")
        named = table.named("filename")
        if named is None:
            raise DataError(f"{path}: expected a column 'filename', got {table.listed()}; rename the column of paths")
        lines = named
    else:
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{where}.exclude: expected a UTF-8 file of paths, got '{path}' ({error})") from error
    lines = [line.strip().replace("\\", "/") for line in lines if line.strip()]
    possible = [line for line in lines if names_file(line)]
    known = {real for faces in found for real in faces.real}
    hits = {
        (line, real)
        for root in {faces.root for faces in found}
        for line, real in zip(possible, real_paths(os.path.join(root, line) for line in possible), strict=True)  # noqa: PTH118
        if real in known
    }
    if hits and (lost := sorted(set(lines) - {line for line, _ in hits})):
        log.warning("%s.exclude: '%s' lists %d files that do not exist, such as '%s'", where, path, len(lost), lost[0])
    return {real for _, real in hits}


def _without_broken(where: str, config: UnlabeledConfig, path: Path, table: FaceTable, files: int) -> FaceTable:
    """Leave out images that are missing or broken, and report them."""
    faults = find_faults(table.files.tolist())
    named = [f"'{table.filenames[position]}' ({fault})" for position, fault in sorted(faults.items())[:3]]
    broken = ", ".join(named) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
    if faults and config.bad_images == "error":
        skip = f"{where}.bad_images=skip"
        raise DataError(f"{where}.path: expected whole images, got {broken}; fix them, or leave them out with {skip}")
    if len(faults) == len(table):
        raise DataError(
            f"{where}.path: expected images in '{path}', got none of {files} files, {files - len(table)} excluded and "
            f"{len(faults)} broken{': ' if faults else ''}{broken}; check {where}.path and {where}.exclude"
        )
    if faults:
        log.warning("%s: left out %d broken images: %s", where, len(faults), broken)
    whole = with_pictures(table.select(_mask(position not in faults for position in range(len(table))), UNLABELED))
    return without_shared(whole, shared_rows(whole), skipped=len(faults))


def _without_repeats(tables: Sequence[FaceTable]) -> list[FaceTable]:
    """Keep every file only the first time."""
    seen: set[str] = set()
    kept = []
    for table in tables:
        new = []
        for path in real_paths(table.files.tolist()):
            new.append(path not in seen)
            seen.add(path)
        duplicates = table.duplicates + new.count(False)
        if any(new):
            kept.append(dataclasses.replace(table.select(_mask(new), UNLABELED), duplicates=duplicates))
        else:
            log.warning("%s: skipped: all %d files already appear in earlier sets", table.name, len(table))
    return kept


def _mask(flags: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(flags, np.bool_)
