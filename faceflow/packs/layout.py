"""Packed sets: many images with their rows in a few files, and paths of images in them.

A packed set is a folder with `pack.json`, the manifest, `index.npy`, which says where each image is, and shards: files
in the Arrow IPC format, each with as many rows as fit its size. The path of an image in it looks as if `pack.json` were
a folder, `<folder>/pack.json/<name>`, so that it can be used wherever the path of a file can.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceflow.errors import DataError
from faceflow.formats import UPDATE, is_known, is_newer, known_fields

FORMAT = 1
MANIFEST, INDEX = "pack.json", "index.npy"
# Columns of a shard, after those of its table: line number; name of the image, hash of its content, whether it is
# intact, its bytes and its features. A file that several rows name is packed with the first.
NAME = "faceflow_name"
COLUMNS = ("faceflow_line", NAME, "faceflow_content", "faceflow_whole", "faceflow_image", "faceflow_features")
MARK = b"faceflow"  # key of the shards' metadata: which pack they belong to

_INSIDE = f"{os.sep}{MANIFEST}{os.sep}"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of a packed set; `bytes` is its size, `pictures` the number of rows with an image of their own."""

    name: str
    bytes: int
    rows: int
    pictures: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a set was packed from: `labels` is a table, or "" for all images of the folder `images`.

    `sha256` is the hash of the table, `state` that of the images' sizes and modification times.
    """

    labels: str
    images: str
    sha256: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Content of `pack.json`.

    `header` and `notes` are those of the table, see `Table`. `features` counts images with features, of `record`
    bytes each; `index` is the SHA-256 of the index.
    """

    format: int
    id: str
    header: Sequence[str]
    notes: Sequence[str]
    rows: int
    pictures: int
    features: int
    record: int
    index: str
    source: Source
    shards: Sequence[Shard]

    def to_json(self) -> str:
        """Text of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a packed set.

    Raises:
        DataError: it cannot be read, is damaged, or is of another version.
    """
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a JSON file"
        raise DataError(f"{path}: expected a packed set of faceflow-pack, got '{reason}'; pack again") from error
    number = raw.get("format") if isinstance(raw, Mapping) else None
    if is_newer(number, FORMAT):
        raise DataError(
            f"{path}: expected a packed set of version {FORMAT} at most, got version {number} of a newer FaceFlow; "
            f"update it with: {UPDATE}"
        )
    if not is_known(number, FORMAT):
        raise DataError(f"{path}: expected a packed set of faceflow-pack, got a file of another kind; check the path")
    try:
        return _manifest(raw)
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected a complete packed set, got one without {error}; pack again") from error


def _manifest(raw: Mapping[str, Any]) -> Manifest:
    fields = known_fields(Manifest, raw)
    fields["source"] = Source(**known_fields(Source, raw["source"]))
    fields["shards"] = tuple(Shard(**known_fields(Shard, each)) for each in raw["shards"])
    return Manifest(**fields)


def pack_folder(path: str | Path | None) -> Path | None:
    """Absolute folder of the packed set that a path means; None if it means none.

    A path means a packed set if it is its folder or the `pack.json` in it, or a path in that folder that does not exist
    and has the name of the packed labels or image folder, as configs of data sets name them.
    """
    if path is None:
        return None
    path = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  (links stay links)
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if (path / MANIFEST).is_file():
        return path
    if not path.exists() and (path.parent / MANIFEST).is_file():
        source = read_manifest(path.parent).source
        if path.name in (Path(source.labels).name, Path(source.images).name):
            return path.parent
    return None


def inside(folder: Path) -> Path:
    """Path that the names of images in a packed set are relative to."""
    return folder / MANIFEST


def split_path(path: str | Path) -> tuple[str, str] | None:
    """Folder of the packed set that a path leads into, and the name of the image in it; None for other paths."""
    folder, found, name = str(path).partition(_INSIDE)
    return (folder, name.replace(os.sep, "/")) if found else None


def name_hash(name: str) -> int:
    """Number of a name in the index."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
