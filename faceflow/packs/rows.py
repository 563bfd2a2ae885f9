"""Rows of a packed set, without images, and checks that its files belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceflow.checks import check_installed
from faceflow.errors import DataError
from faceflow.packs.layout import COLUMNS, FORMAT, INDEX, MARK, NAME
from faceflow.packs.pack import SHARDS, Pack
from faceflow.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as arrow

EXTRA = "faceflow[pack]"


def read_rows(pack: Pack, *, key: str) -> Table:
    """Read the packed table: its original cells and line numbers.

    Args:
        pack: the packed set.
        key: config key that named it, for messages.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: files that are missing, damaged, of another version or of another packed set.
    """
    check_installed("pyarrow", key=key, install=EXTRA)
    check_files(pack)
    manifest = pack.manifest
    width = len(manifest.header)
    columns: list[list[str]] = [[] for _ in range(width)]
    lines: list[int] = []
    for shard, path in zip(manifest.shards, pack.shards, strict=True):
        part = read_columns(path, range(width + 1), owner=manifest.id)
        if part.num_rows != shard.rows:
            raise DataError(f"{path}: expected {shard.rows} rows, as in pack.json, got {part.num_rows}; pack again")
        for cells, position in zip(columns, range(width), strict=True):
            cells += _texts(part.column(position))
        lines += part.column(width).to_pylist()
    return Table(
        path=pack.folder,
        header=tuple(manifest.header),
        columns=columns,
        lines=lines,
        notes=tuple(manifest.notes),
    )


def read_names(pack: Pack, *, key: str) -> list[str]:
    """Names of the images of a packed set, each once, in row order; raises as `read_rows` does."""
    check_installed("pyarrow", key=key, install=EXTRA)
    column = len(pack.manifest.header) + COLUMNS.index(NAME)
    check_files(pack)
    names: dict[str, None] = {}
    for path in pack.shards:
        part = read_columns(path, [column], owner=pack.manifest.id)
        names.update(dict.fromkeys(part.column(0).to_pylist()))
    return list(names)


def read_columns(path: Path, columns: Sequence[int], *, owner: str) -> arrow.Table:
    """Read some columns of a shard, and nothing else of the file.

    Args:
        path: of the shard.
        columns: their positions.
        owner: id of the packed set that it must belong to.

    Raises:
        DataError: it is damaged, of another version or of another packed set.
    """
    import pyarrow as arrow

    try:
        options = arrow.ipc.IpcReadOptions(included_fields=list(columns))
        with arrow.memory_map(str(path)) as file:
            reader = arrow.ipc.open_file(file, options=options)
            version, _, found = (reader.schema.metadata or {}).get(MARK, b"").decode("utf-8", "replace").partition(" ")
            if version != str(FORMAT):
                raise DataError(
                    f"{path}: expected a shard of version {FORMAT}, got {version or 'another kind of file'}; pack again"
                )
            if found != owner:
                raise DataError(f"{path}: expected a shard of this packed set, got one from another set; pack again")
            return reader.read_all()
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: expected a complete shard, got '{reason}'; copy it again, or pack again") from error


def check_files(pack: Pack) -> None:
    """Check that the files of a packed set exist, have the right sizes and agree with each other; no shard is read.

    Raises:
        DataError: names the file.
    """
    path, manifest = pack.folder / INDEX, pack.manifest
    if hashlib.sha256(path.read_bytes()).hexdigest() != manifest.index:
        raise DataError(f"{path}: expected the index that belongs to pack.json, got another one; pack again")
    counts = np.bincount(pack.index[SHARDS], minlength=len(manifest.shards)).tolist()
    if counts != [shard.pictures for shard in manifest.shards] or manifest.rows != sum(s.rows for s in manifest.shards):
        raise DataError(
            f"{pack.folder}: expected {manifest.rows} rows and {manifest.pictures} images in its shards, as "
            "in pack.json, got other numbers; pack again"
        )
    for shard, place in zip(manifest.shards, pack.shards, strict=True):
        _check_size(place, shard.bytes)


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"{path}: expected a shard of this packed set, got none ({reason}); copy it again") from error
    if found != size:
        raise DataError(
            f"{path}: expected a shard of {size} bytes, as in pack.json, got {found}; copy it again, or pack again"
        )


def _texts(column: arrow.ChunkedArray) -> list[str]:
    """Cells of a column; equal ones are one object, as a million rows hold few different labels."""
    cells: list[str] = []
    for chunk in column.chunks:
        coded = chunk.dictionary_encode()
        values = np.array(coded.dictionary.to_pylist(), object)
        cells += values[coded.indices.to_numpy()].tolist()
    return cells
