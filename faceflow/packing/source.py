"""What to pack: the rows of a table, or all images of a folder, and the paths of their images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from faceflow.data.image_folder import image_names
from faceflow.data.labels import LabelFile
from faceflow.data.rows import crops_beside, image_paths, with_slashes
from faceflow.errors import ConfigError
from faceflow.packs.layout import Source, pack_folder
from faceflow.tables.columns import check_columns, name_columns, no_column
from faceflow.tables.reading import read_table
from faceflow.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class Rows:
    """N rows to pack: their table, the file of each image, and its name below the image folder."""

    table: Table
    files: Sequence[str]
    names: Sequence[str]
    source: Source


def find_rows(labels: str | None, images: str | None, columns: Mapping[str, str | None]) -> Rows:
    """Read the table to pack, or list the images of a folder.

    Args:
        labels: path of a table with a column of file names; None: all images below `images`.
        images: folder that file names are relative to; None: as for training, that of the crops or of the table.
        columns: "filename" -> its name in the table.

    Raises:
        ConfigError, DataError: neither is given, or the table cannot be read or names files elsewhere.
    """
    for key, path in (("labels", labels), ("images", images)):
        if pack_folder(path):
            raise ConfigError(f"{key}: expected something not yet packed, got the packed set '{path}'; name its source")
    if labels is None:
        if images is None:
            raise ConfigError(
                "labels: expected a table of crops, got none; add labels=FILE, or images=FOLDER for all images in it"
            )
        table = _listed(Path(images).expanduser())
        named, folder = table, table.path
    else:
        check_columns(columns, key="columns")
        table = read_table(Path(labels).expanduser(), key="labels")
        named = name_columns(table, columns, key="columns")
        folder = Path(images).expanduser() if images else crops_beside(table.path) or table.path.parent
    names = named.named("filename")
    if names is None:
        raise no_column(table.path, named, "filename", key="columns")
    if not names:
        raise ConfigError(f"labels: expected rows to pack, got only a header in '{labels}'; add rows")
    frame = pd.DataFrame({"filename": names}, dtype=object)
    file = LabelFile(
        path=table.path, frame=frame, aus=(), scores=np.empty((len(names), 0)), lines=np.array(table.lines)
    )
    files = image_paths("", with_slashes(file, folder), np.arange(len(names)), folder).tolist()
    root = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118  (links stay links)
    return Rows(
        table=table,
        files=files,
        names=[path[len(root) :].replace(os.sep, "/") for path in files],
        source=Source(
            labels="" if labels is None else str(table.path.resolve()),
            images=str(folder.resolve()),
            sha256="" if labels is None else hashlib.sha256(table.path.read_bytes()).hexdigest(),
            state=_state(files),
        ),
    )


def _listed(folder: Path) -> Table:
    names = image_names(folder, key="images")
    return Table(path=folder, header=("filename",), columns=[names], lines=range(len(names)), notes=())


def _state(files: Sequence[str]) -> str:
    """Hash of the sizes and modification times of the images, in order."""
    digest = hashlib.sha256()
    for file in files:
        try:
            found = os.stat(file)  # noqa: PTH116  (a Path per file is slow)
            digest.update(f"{found.st_size} {found.st_mtime_ns},".encode())
        except OSError:
            digest.update(b"-,")
    return digest.hexdigest()
