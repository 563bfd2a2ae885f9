"""Shards of a packed set: writing and indexing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as arrow
from numpy.typing import NDArray

from faceflow.files import whole_file
from faceflow.packs.layout import COLUMNS, FORMAT, MARK, name_hash
from faceflow.packs.pack import FEATURE_STARTS

_BATCH_BYTES = 8 * 2**20
_BATCH_ROWS = 4096
_LINE, _NAME, _CONTENT, _WHOLE, _IMAGE, _FEATURES = range(len(COLUMNS))
_TYPES = (arrow.int64(), arrow.string(), arrow.int64(), arrow.bool_(), arrow.binary(), arrow.binary())

Row = tuple[Sequence[str], tuple[object, ...]]


def shard_schema(header: Sequence[str], owner: str) -> arrow.Schema:
    """Columns of a shard: the cells of a table as text, then FaceFlow's own columns.

    Args:
        header: of the table.
        owner: id of the packed set.
    """
    fields = [arrow.field(name, arrow.string()) for name in header]
    fields += [arrow.field(name, kind) for name, kind in zip(COLUMNS, _TYPES, strict=True)]
    return arrow.schema(fields, metadata={MARK: f"{FORMAT} {owner}".encode()})


def write_shard(path: Path, schema: arrow.Schema, rows: Iterator[Row], *, limit: int) -> int:
    """Write rows until their images have `limit` bytes, and return their count; the file appears when it is complete.

    Args:
        path: of the shard.
        schema: see `shard_schema`.
        rows: cells of the table, and values of FaceFlow's own columns.
        limit: bytes of images after which no further row is written.

    Raises:
        DataError: it cannot be written.
    """
    written = 0
    with (
        whole_file(path) as partial,
        arrow.OSFile(str(partial), "wb") as file,
        arrow.ipc.new_file(file, schema) as writer,
    ):
        for batch in _batches(rows, limit):
            columns = zip(*((*cells, *own) for cells, own in batch), strict=True)
            arrays = [arrow.array(cells, kind) for cells, kind in zip(columns, schema.types, strict=True)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
            written += len(batch)
    return written


def _batches(rows: Iterator[Row], limit: int) -> Iterator[list[Row]]:
    """Rows of a shard in batches."""
    batch: list[Row] = []
    size = whole = 0
    for row in rows:
        image = row[1][_IMAGE]
        size += len(image) if isinstance(image, bytes) else 0
        batch.append(row)
        if size >= _BATCH_BYTES or len(batch) == _BATCH_ROWS or whole + size >= limit:
            yield batch
            whole += size
            batch, size = [], 0
            if whole >= limit:
                return
    if batch:
        yield batch


def index_shard(path: Path, number: int) -> tuple[int, NDArray[np.int64]]:
    """Count of the rows of a shard, and its part of the index (7, M), for the M rows with an image of their own.

    Args:
        path: of the complete shard.
        number: its position among the shards.
    """
    parts = [np.empty((FEATURE_STARTS + 2, 0), np.int64)]
    rows = 0
    with arrow.memory_map(str(path)) as file:
        content = file.read_buffer()  # no copy: offsets in memory are offsets in the file
        reader = arrow.ipc.open_file(arrow.BufferReader(content))
        for place in range(reader.num_record_batches):
            batch = reader.get_batch(place)
            rows += batch.num_rows
            parts.append(_index_batch(batch.columns[-len(COLUMNS) :], content.address, number))
    return rows, np.concatenate(parts, axis=1)


def _index_batch(columns: Sequence[arrow.Array], origin: int, number: int) -> NDArray[np.int64]:
    images, features = columns[_IMAGE], columns[_FEATURES]
    has_image = images.is_valid().to_numpy(zero_copy_only=False)
    starts, sizes = _places(images, origin)
    feature_starts = np.where(features.is_valid().to_numpy(zero_copy_only=False), _places(features, origin)[0], -1)
    names = np.array([name_hash(name) for name in columns[_NAME].to_pylist()], np.int64)
    content = columns[_CONTENT].fill_null(0).to_numpy()
    whole = columns[_WHOLE].to_numpy(zero_copy_only=False).astype(np.int64)
    shard = np.full(len(images), number)
    return np.stack([names, content, shard, starts, sizes, feature_starts, whole])[:, has_image]


def _places(cells: arrow.Array, origin: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the bytes of cells start, relative to an address in memory, and their number."""
    _, ends, data = cells.buffers()
    bounds = np.frombuffer(ends, np.int32, len(cells) + 1).astype(np.int64)
    return bounds[:-1] + (data.address - origin if data else 0), np.diff(bounds)
