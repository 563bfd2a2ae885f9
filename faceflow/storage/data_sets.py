"""Data sets on a store: their tables, images and features become local files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from faceflow.errors import StorageError
from faceflow.packs.layout import INDEX, MANIFEST, read_manifest
from faceflow.storage.cache import Cache
from faceflow.storage.urls import below, folder_of, is_url
from faceflow.tables.columns import name_columns
from faceflow.tables.reading import read_table

_TABLES = ("labels", "train", "val", "test")
# As faceflow-crop lays them out: crops/ beside their recipe, features/ with a file per folder of crops.
_CROPS, _RECIPE, _FEATURES, _SUFFIX = "crops", "crops.json", "features", ".npy"


def local_source(source: Mapping[str, Any], cache: Cache, *, key: str) -> dict[str, Any]:
    """Settings of a data set, with files on a store replaced by local copies.

    Args:
        source: entry of `data.sources`.
        cache: for the copies.
        key: config key of the set, for messages.

    Raises:
        ConfigError, StorageError: see `Cache.file`.
    """
    local = dict(source)
    tables = {name: str(source[name]) for name in _TABLES if source.get(name)}
    for name, address in tables.items():
        if is_url(address):
            pack = _fetch_pack(address, cache, key=f"{key}.{name}")
            local[name] = str(pack or cache.file(address, key=f"{key}.{name}"))
    folder = source.get("images")
    if folder and is_url(folder) and (pack := _fetch_pack(str(folder), cache, key=f"{key}.images")):
        return local | {"images": str(pack)}
    for name, address in tables.items():
        if Path(local[name]).is_dir():
            continue  # a packed set
        beside = folder or (_images_beside(address, cache, key=f"{key}.{name}") if is_url(address) else None)
        if is_url(beside):
            names = _filenames(Path(local[name]), source["columns"], key=f"{key}.{name}")
            place = _fetch_faces(str(beside), names, cache, key=f"{key}.images")
            if folder:
                local["images"] = str(place)
    return local


def local_faces(faces: Mapping[str, Any], cache: Cache, *, key: str) -> dict[str, Any]:
    """The same for a set of unlabelled faces: folders, and tables that name images.

    Args:
        faces: entry of `data.unlabeled`.
        cache: for the copies.
        key: config key of the set.
    """
    local = dict(faces)
    paths = [faces["path"]] if isinstance(faces["path"], str) else faces["path"] or []
    found = []
    for path in paths:
        if not is_url(path):
            found.append(path)
        elif pack := _fetch_pack(path, cache, key=f"{key}.path"):
            found.append(str(pack))
        elif cache.is_folder(path, key=f"{key}.path"):
            found.append(str(_fetch_folder(path, cache, key=f"{key}.path")))
        else:
            found.append(str(cache.file(path, key=f"{key}.path")))
    for path, copy in zip(paths, found, strict=True):
        if Path(copy).expanduser().is_dir():
            continue
        beside = faces["images"] or (_images_beside(path, cache, key=f"{key}.path") if is_url(path) else None)
        if is_url(beside):
            names = _filenames(Path(copy), faces["columns"], key=f"{key}.path")
            place = _fetch_faces(str(beside), names, cache, key=f"{key}.images")
            if faces["images"]:
                local["images"] = str(place)
    local["path"] = found[0] if isinstance(faces["path"], str) else found or faces["path"]
    local["exclude"] = [
        str(cache.file(entry, key=f"{key}.exclude")) if is_url(entry) else entry for entry in faces["exclude"]
    ]
    return local


def _fetch_pack(address: str, cache: Cache, *, key: str) -> Path | None:
    """Copy a complete packed set, given its folder or `pack.json`; None if there is none."""
    folder = folder_of(address) if address.endswith(f"/{MANIFEST}") else address
    if PurePosixPath(folder).suffix:  # a table
        return None
    manifest = cache.file_if_there(below(folder, MANIFEST), key=key)
    if manifest is None:
        return None
    shards = [shard.name for shard in read_manifest(manifest.parent).shards]
    return cache.files(folder, [MANIFEST, INDEX, _RECIPE, *shards], key=key)


def _images_beside(table: str, cache: Cache, *, key: str) -> str:
    """Folder that the file names of a table on a store are relative to, by the same rule as on disk."""
    folder = folder_of(table)
    if cache.file_if_there(below(folder, _RECIPE), key=key) is not None:
        return below(folder, _CROPS)
    return folder


def _filenames(table: Path, columns: Mapping[str, str | None], *, key: str) -> Sequence[str]:
    """File names in a table; empty if it has no such column."""
    read = name_columns(read_table(table.expanduser(), key=key), columns, key=f"{key.rpartition('.')[0]}.columns")
    return read.named("filename") or []


def _fetch_faces(folder: str, names: Sequence[str], cache: Cache, *, key: str) -> Path:
    """Copy images and the files of faceflow-crop for them: the crop recipe, and the features of each folder."""
    place = cache.files(folder, names, key=key)
    top = _crops_above(folder)
    if top is None or cache.file_if_there(below(folder_of(top), _RECIPE), key=key) is None:
        return place
    inside = folder.rstrip("/").removeprefix(top).strip("/")
    folders = {(PurePosixPath(inside) / name.replace("\\", "/")).parent.as_posix() for name in names}
    cache.files(folder_of(top), [_features_of(each) for each in sorted(folders)], key=key)
    return place


def _fetch_folder(folder: str, cache: Cache, *, key: str) -> Path:
    """Copy all images below a folder, and the files of faceflow-crop for them."""
    from faceflow.images import IMAGE_SUFFIXES  # which loads OpenCV, for a line that is rarely run

    place = cache.tree(folder, key=key, take=lambda name: _is_visible(name) and name.lower().endswith(IMAGE_SUFFIXES))
    if not place.is_dir():
        raise StorageError(f"{key}: expected images ({', '.join(IMAGE_SUFFIXES)}) below '{folder}', got none")
    top = _crops_above(folder)
    if top is not None and cache.file_if_there(below(folder_of(top), _RECIPE), key=key) is not None:
        copies = place.relative_to(cache.folder)
        parts = copies.parts[copies.parts.index(_CROPS) + 1 :]
        inside = Path(*parts)
        names = {(inside / file.relative_to(place)).parent.as_posix() for file in place.rglob("*") if file.is_file()}
        cache.files(folder_of(top), [_features_of(each) for each in sorted(names)], key=key)
    return place


def _crops_above(folder: str) -> str | None:
    """Address of the folder `crops` that a folder is, or is in; None for others."""
    parts = folder.rstrip("/").split("/")
    return "/".join(parts[: parts.index(_CROPS) + 1]) if _CROPS in parts else None


def _features_of(folder: str) -> str:
    """Path of the features of a folder of crops, as `faceflow.faces.feature_file` names it."""
    return _FEATURES + _SUFFIX if folder in ("", ".") else f"{_FEATURES}/{folder}{_SUFFIX}"


def _is_visible(name: str) -> bool:
    return not any(part.startswith(".") for part in name.split("/"))
