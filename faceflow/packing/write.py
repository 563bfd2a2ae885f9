"""Writing a packed set: the shards, the index, and finally `pack.json`, which marks it as complete."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import ConfigError, DataError
from faceflow.faces.feature_file import RECORD, crops_folder
from faceflow.files import remove_leftovers, whole_file
from faceflow.packing.pictures import PackedFeatures, Picture, read_pictures
from faceflow.packing.shards import Row, index_shard, shard_schema, write_shard
from faceflow.packing.source import Rows
from faceflow.packs.layout import FORMAT, INDEX, MANIFEST, Manifest, Shard, Source, read_manifest
from faceflow.packs.pack import FEATURE_STARTS, NAMES, WHOLE, forget_opened
from faceflow.packs.rows import read_columns
from faceflow.progress import Bar, progress_bar

log = logging.getLogger(__name__)

Reader = Callable[[Sequence[str]], Iterator[Picture]]

RECIPE = "crops.json"
_BEGUN = "packing.json"  # source and settings of an incomplete set
_SHARD = "shard_{:05d}.arrow"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A packed set: its manifest, and the number of broken images."""

    manifest: Manifest
    broken: int


def write_pack(
    rows: Rows, output: Path, *, shard_bytes: int, keep_broken: bool, read: Reader = read_pictures
) -> Packed:
    """Pack rows and their images; complete shards of an interrupted run are kept.

    Args:
        rows: to pack.
        output: folder of the packed set.
        shard_bytes: bytes of images after which the next shard begins.
        keep_broken: whether missing or broken images are packed as they are.
        read: yields the images of files, each once, in order.

    Raises:
        ConfigError: the folder has other content, or the source has changed since it was packed there.
        DataError: an image that is missing or broken, or a file that cannot be written.
    """
    if (output / MANIFEST).is_file():
        return _found(rows, output)
    owner = _begin(rows.source, output, shard_bytes)
    remove_leftovers(output, older_than_s=0)
    shards, index = _write_shards(rows, output, owner, shard_bytes, keep_broken=keep_broken, read=read)
    order = np.argsort(index[NAMES], kind="stable")
    index = np.ascontiguousarray(index[:, order])
    if (np.diff(index[NAMES]) == 0).any():
        raise DataError(
            "labels: expected file names with different 64-bit hashes, got two with the same; rename one of the "
            "files, or pack the set in two parts"
        )
    with whole_file(output / INDEX) as partial, partial.open("wb") as file:
        np.save(file, index, allow_pickle=False)
    recipe = _recipe_of(rows)
    if recipe is not None:
        with whole_file(output / RECIPE) as partial:
            shutil.copyfile(recipe, partial)
    manifest = Manifest(
        format=FORMAT,
        id=owner,
        header=rows.table.header,
        notes=rows.table.notes,
        rows=len(rows.files),
        pictures=index.shape[1],
        features=int((index[FEATURE_STARTS] >= 0).sum()),
        record=np.dtype(RECORD).itemsize,
        index=hashlib.sha256((output / INDEX).read_bytes()).hexdigest(),
        source=rows.source,
        shards=shards,
    )
    with whole_file(output / MANIFEST) as partial:
        partial.write_text(manifest.to_json(), encoding="utf-8")
    (output / _BEGUN).unlink(missing_ok=True)
    forget_opened()
    return Packed(manifest=manifest, broken=_broken(rows, index))


def _found(rows: Rows, output: Path) -> Packed:
    """Existing packed set, which must be of the same source."""
    manifest = read_manifest(output)
    _check_source(manifest.source, rows.source, output)
    index = np.load(output / INDEX, mmap_mode="r", allow_pickle=False)
    log.info("%s: already packed, and its source has not changed", output)
    return Packed(manifest=manifest, broken=_broken(rows, index))


def _begin(source: Source, output: Path, shard_bytes: int) -> str:
    """Id of a new set, or of one that an earlier run began with the same source and shard size."""
    path = output / _BEGUN
    if path.is_file():
        try:
            begun = json.loads(path.read_text("utf-8"))
            owner, size, before = str(begun["id"]), begun["shard_bytes"], Source(**begun["source"])
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(
                f"output: expected a folder to pack to, got '{output}' with other content; choose another"
            ) from error
        _check_source(before, source, output)
        if size != shard_bytes:
            raise ConfigError(
                f"shard_mb: expected {size / 2**20:g}, the size of the shards in '{output}', got "
                f"{shard_bytes / 2**20:g}; set that size, or choose another output"
            )
        return owner
    if output.is_dir() and any(file for file in output.iterdir() if not file.name.startswith(".")):
        raise ConfigError(f"output: expected a new or empty folder, got '{output}' with files; choose another")
    owner = uuid.uuid4().hex
    content = {"id": owner, "shard_bytes": shard_bytes, "source": dataclasses.asdict(source)}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return owner


def _check_source(before: Source, now: Source, output: Path) -> None:
    again = f"pack to another output, or remove '{output}' and pack again"
    if before.labels != now.labels or before.images != now.images:
        theirs, ours = (each.labels or each.images for each in (before, now))
        if theirs == ours:
            theirs, ours = before.images, now.images
        raise ConfigError(f"output: expected '{theirs}', which '{output}' was packed from, got '{ours}'; {again}")
    if before.sha256 != now.sha256:
        raise ConfigError(
            f"labels: expected '{now.labels}' as it was when packed to '{output}', got a changed file; {again}"
        )
    if before.state != now.state:
        raise ConfigError(
            f"images: expected the images in '{now.images}' as they were when packed to '{output}', got some that "
            f"have changed; {again}"
        )


def _write_shards(
    rows: Rows, output: Path, owner: str, shard_bytes: int, *, keep_broken: bool, read: Reader
) -> tuple[list[Shard], NDArray[np.int64]]:
    schema = shard_schema(rows.table.header, owner)
    shards: list[Shard] = []
    parts = [np.empty((WHOLE + 1, 0), np.int64)]
    done = 0
    with progress_bar("Packing", len(rows.files), unit="rows") as bar:
        remaining: Iterator[Row] | None = None
        while done < len(rows.files):
            path = output / _SHARD.format(len(shards))
            if remaining is None and path.is_file():
                read_columns(path, [0], owner=owner)  # of an earlier run; Arrow checks that it is complete
                count, part = index_shard(path, len(shards))
                bar.advance(count)
            else:
                remaining = remaining or _rows_from(rows, done, bar, keep_broken=keep_broken, read=read)
                write_shard(path, schema, remaining, limit=shard_bytes)
                count, part = index_shard(path, len(shards))
            done += count
            parts.append(part)
            shards.append(Shard(name=path.name, bytes=path.stat().st_size, rows=count, pictures=part.shape[1]))
    return shards, np.concatenate(parts, axis=1)


def _rows_from(rows: Rows, start: int, bar: Bar, *, keep_broken: bool, read: Reader) -> Iterator[Row]:
    """Rows to write, from `start` on; a file that several rows name is packed with the first of them."""
    seen = set(rows.names[:start])
    features = PackedFeatures()
    firsts = []
    for row in range(start, len(rows.files)):
        firsts.append(rows.names[row] not in seen)
        seen.add(rows.names[row])
    pictures = read([file for file, first in zip(rows.files[start:], firsts, strict=True) if first])
    for row, first in enumerate(firsts, start):
        own: tuple[object, ...] = (rows.table.lines[row], rows.names[row], None, False, None, None)
        if first:
            picture = next(pictures)
            if picture.fault and not keep_broken:
                raise DataError(
                    f"{rows.table.where(row)}: expected an image, got {picture.fault}: '{rows.files[row]}'; fix it, or "
                    "pack broken images as they are with bad_images=keep"
                )
            record = None if picture.content is None else features.of(rows.files[row], picture.content)
            own = (*own[:2], picture.content, not picture.fault, picture.image, record)
        bar.advance()
        yield rows.table.row(row), own


def _broken(rows: Rows, index: NDArray[np.int64]) -> int:
    """Count of images that are missing or broken."""
    return len(set(rows.names)) - int((index[WHOLE] == 1).sum())


def _recipe_of(rows: Rows) -> Path | None:
    """The crops.json beside the folder of crops that contains all files."""
    crops = crops_folder(Path(os.path.commonpath([min(rows.files), max(rows.files)])))
    return crops.parent / RECIPE if crops else None
