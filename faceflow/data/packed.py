"""Packed sets in place of a table, its images or a folder of images."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from pathlib import Path

import numpy as np

from faceflow.errors import ConfigError, DataError
from faceflow.images import hash_of
from faceflow.packs.layout import inside, pack_folder
from faceflow.packs.pack import CONTENTS, SHARDS, Pack, forget_opened, has_picture, opened
from faceflow.packs.rows import check_files, read_rows
from faceflow.tables.reading import read_table
from faceflow.tables.table import Table

log = logging.getLogger(__name__)

_COMPARED = 8  # images of each shard, enough to notice a bad copy


def table_of(path: Path, *, key: str) -> Table:
    """Read a table, or the table of a packed set.

    Raises:
        DataError: see `read_table`, `read_rows` and `checked`.
    """
    folder = pack_folder(path)
    if folder is None:
        return read_table(path, key=key)
    forget_opened()
    pack = opened(str(folder))
    table = read_rows(pack, key=key)
    _compare(pack)
    _warn_of_changes(pack)
    return table


def checked(folder: Path) -> Pack:
    """Open a packed set as it is now, and check its files; some images of each shard are compared with the index.

    Raises:
        DataError: names the file that is missing, damaged, or of another packed set.
    """
    forget_opened()
    pack = opened(str(folder))
    check_files(pack)
    _compare(pack)
    return pack


def pictures_of(path: Path, images: Path | None) -> Path | None:
    """Path that file names of a table are relative to, if it or its image folder is a packed set; else None.

    Raises:
        ConfigError: a packed table with images elsewhere.
    """
    table, pictures = pack_folder(path), pack_folder(images)
    if table is not None and images is not None and pictures != table:
        raise ConfigError(
            f"images: expected null with the packed set '{table}', which contains the images, got '{images}'; remove it"
        )
    folder = table or pictures
    return inside(folder) if folder else None


def source_of(path: Path) -> Path:
    """Path of the table, or of the image folder, that was packed; any other path itself, with links resolved."""
    folder = pack_folder(path)
    if folder is None:
        return path.resolve()
    source = opened(str(folder)).manifest.source
    return Path(source.labels or source.images)


def is_there(path: str) -> bool:
    """Whether a path exists: a file, a link (even a broken one), or an image in a packed set."""
    return os.path.lexists(path) or has_picture(path)


def _compare(pack: Pack) -> None:
    for number, path in enumerate(pack.shards):
        places = np.flatnonzero(pack.index[SHARDS] == number)
        for place in places[:: -(-len(places) // _COMPARED) or 1].tolist():
            try:
                right = hash_of(io.BytesIO(pack.content(place))) == pack.index[CONTENTS, place]
            except OSError as error:
                raise DataError(f"{path}: expected a complete shard, got '{error.strerror}'; copy it again") from error
            if not right:
                raise DataError(
                    f"{path}: expected the images listed in the index of this packed set, got others; copy it again, "
                    "or pack again"
                )


def _warn_of_changes(pack: Pack) -> None:
    source = pack.manifest.source
    try:
        changed = source.labels and hashlib.sha256(Path(source.labels).read_bytes()).hexdigest() != source.sha256
    except OSError:
        return  # gone, as on another machine
    if changed:
        log.warning(
            "%s: packed from '%s', which has changed since; pack it again to include the change",
            pack.folder,
            source.labels,
        )
