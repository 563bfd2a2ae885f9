"""Files in object stores that a config names: they are copied to this machine before a command reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.config.values import plain, with_values
from faceflow.errors import ConfigError
from faceflow.storage.cache import Cache, StorageSettings, open_cache
from faceflow.storage.data_sets import local_faces, local_source
from faceflow.storage.sources import local_sources
from faceflow.storage.urls import below, folder_of, is_url

_FILES = ("checkpoint", "onnx", "baseline", "init_weights", "model.weights", "crop")
_HERE = ("output", "render", "plot", "events", "root", "card", "predictions")
_LAST, _BEST = "checkpoints/last.ckpt", "best.ckpt"


def located(config: DictConfig) -> DictConfig:
    """Copy a config with local files in place of objects in a store, which are fetched.

    Commands record the config that the user gave, not this copy. Without addresses the config is returned unchanged. A
    run to resume is not included: `located_file` finds its checkpoint.

    Raises:
        ConfigError, DataError: see `faceflow.storage.cache.Cache`.
    """
    keys = (*_FILES, *_HERE, "storage", "data.sources", "data.unlabeled")  # what else refers to may be set later
    given = {key: plain(OmegaConf.select(config, key)) for key in keys}
    _check_here(given)
    values: dict[str, Any] = {
        key: _local_file(value, given["storage"], key=key) for key in _FILES if is_url(value := given[key])
    }
    for name, source in (given["data.sources"] or {}).items():
        if _names_urls(source):
            key = f"data.sources.{name}"
            values[key] = local_source(source, open_storage(given["storage"]), key=key)
    for name, faces in (given["data.unlabeled"] or {}).items():
        if _names_urls(faces):
            key = f"data.unlabeled.{name}"
            values[key] = local_faces(faces, open_storage(given["storage"]), key=key)
    return with_values(config, values) if values else config


def located_file(config: DictConfig, key: str) -> str | None:
    """File that a key names; for a file in a store, its local copy.

    Raises:
        ConfigError, DataError: see `located`.
    """
    value: str | None = OmegaConf.select(config, key)
    return _local_file(str(value), plain(config.get("storage")), key=key) if is_url(value) else value


def local_values(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Copy the plain values of a command with local files in place of objects in a store, for some keys.

    Raises:
        ConfigError, DataError: see `located`.
    """
    _check_here(values)
    return {
        key: _local_file(value, values.get("storage"), key=key) if key in keys and is_url(value) else value
        for key, value in values.items()
    }


def stored_sources(values: Mapping[str, Any], suffixes: Collection[str]) -> tuple[Any, Path | None]:
    """The `source` in the plain values of a command, as local files.

    Args:
        values: of the config.
        suffixes: of videos and images.

    Returns:
        The sources, and the folder of their copies; None if nothing was copied.

    Raises:
        ConfigError, DataError: see `located`.
    """
    opened: list[Cache] = []

    def cache() -> Cache:
        opened.append(open_storage(values.get("storage")))
        return opened[-1]

    local = local_sources(values["source"], cache, suffixes)
    return local, opened[0].folder if opened else None


def _local_file(url: str, storage: Mapping[str, Any] | None, *, key: str) -> str:
    cache = open_storage(storage)
    if key == "checkpoint":  # an export contains how its run was tested
        cache.file_if_there(below(folder_of(folder_of(url)), "metrics.json"), key=key)
    if key == "resume":  # a run folder or its last checkpoint; the best one so far is next to it
        url = url if url.endswith(".ckpt") else below(url, _LAST)
        cache.file_if_there(below(folder_of(url), _BEST), key=key)
    return str(cache.file(url, key=key))


def _check_here(config: Mapping[str, Any]) -> None:
    for key in _HERE:
        if is_url(config.get(key)):
            raise ConfigError(
                f"{key}: expected a file or folder on this machine, got '{config[key]}'; see "
                "docs/how_to/object_storage.md for what can be in a store"
            )


def open_storage(storage: Mapping[str, Any] | None) -> Cache:
    """The cache that the node `storage` of a config describes.

    Raises:
        ConfigError: there is none, or a value is out of range.
        StorageError: its folder cannot be written.
    """
    if storage is None:
        raise ConfigError(
            "storage: expected settings of the cache, got a config of an earlier version; add +storage=default"
        )
    return open_cache(StorageSettings(**storage))


def _names_urls(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_names_urls, value.values()))
    return any(map(_names_urls, value)) if isinstance(value, list) else is_url(value)
