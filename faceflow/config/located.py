"""Files on a store that a config names: before a command reads them, they become local copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.config.values import plain, with_values
from faceflow.errors import ConfigError
from faceflow.storage.cache import Cache, StorageSettings, open_cache
from faceflow.storage.data_sets import local_faces, local_source
from faceflow.storage.urls import below, folder_of, is_url

_FILES = ("checkpoint", "onnx", "baseline", "init_weights", "model.weights", "crop", "resume")
_OUTPUTS = ("output", "render", "plot", "events")
_LAST, _BESIDE = "checkpoints/last.ckpt", ("best.ckpt",)


def located(config: DictConfig) -> DictConfig:
    """Copy a config with local files where it names objects on a store, which are fetched.

    What a command records of itself comes from the config as the user gave it. Without addresses it is that config.

    Raises:
        ConfigError, DataError: see `faceflow.storage.cache.Cache`.
    """
    texts: Any = OmegaConf.to_container(config, resolve=True)
    _check_outputs(texts)
    values: dict[str, Any] = {
        key: _local_file(value, texts, key=key) for key in _FILES if is_url(value := _at(texts, key))
    }
    data = texts.get("data") or {}
    for name, source in (data.get("sources") or {}).items():
        if _names_urls(source):
            key = f"data.sources.{name}"
            values[key] = local_source(plain(config.data.sources[name]), _cache(texts), key=key)
    for name, faces in (data.get("unlabeled") or {}).items():
        if _names_urls(faces):
            key = f"data.unlabeled.{name}"
            values[key] = local_faces(faces, _cache(texts), key=key)
    return with_values(config, values) if values else config


def located_file(config: DictConfig, key: str) -> str | None:
    """File that a key names, of one on a store its copy.

    Raises:
        ConfigError, DataError: see `located`.
    """
    value: str | None = OmegaConf.select(config, key)
    return _local_file(str(value), plain(config), key=key) if is_url(value) else value


def _local_file(url: str, config: Mapping[str, Any], *, key: str) -> str:
    cache = _cache(config)
    if key == "resume":
        return _local_checkpoint(url, cache)
    if key == "checkpoint":  # an export says how its run was tested
        cache.file_if_there(below(folder_of(folder_of(url)), "metrics.json"), key=key)
    return str(cache.file(url, key=key))


def _local_checkpoint(url: str, cache: Cache) -> str:
    """The last checkpoint of a run, of which its folder or the file itself is named, and the best one beside it."""
    last = url if url.endswith(".ckpt") else below(url, _LAST)
    for name in _BESIDE:
        cache.file_if_there(below(folder_of(last), name), key="resume")
    return str(cache.file(last, key="resume"))


def _check_outputs(config: Mapping[str, Any]) -> None:
    for key in _OUTPUTS:
        if is_url(config.get(key)):
            raise ConfigError(
                f"{key}: expected a file or folder of this machine, got '{config[key]}'; write it here, and copy it"
            )


def _cache(config: Mapping[str, Any]) -> Cache:
    return open_cache(StorageSettings(**config["storage"]))


def _names_urls(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_names_urls, value.values()))
    return any(map(_names_urls, value)) if isinstance(value, list) else is_url(value)


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config
