"""Videos and images on a store, named by `source`; addresses of live streams are not included."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from typing import Any

from faceflow.errors import ConfigError
from faceflow.storage.cache import Cache
from faceflow.storage.store import is_store
from faceflow.storage.urls import is_url, place_of, scheme_of

_KEY = "source"


def is_stored(source: object, suffixes: Collection[str]) -> bool:
    """Whether a source is on a store.

    On the web, files are recognised by their suffix; all others are streams, as are addresses that may hold a secret.
    """
    if not isinstance(source, str) or not is_url(source) or not is_store(scheme_of(source)):
        return False
    on_web = scheme_of(source) in ("http", "https")
    return not on_web or (_suffix(source) in suffixes and not {"@", "?"} & set(source))


def local_sources(source: Any, cache: Callable[[], Cache], suffixes: Collection[str]) -> Any:
    """Fetch sources on a store: files, and folders with all files of some suffixes below them.

    Args:
        source: the user's source, or a list of sources.
        cache: opens the cache, if there is something to fetch.
        suffixes: of videos and images, in lower case.

    Returns:
        The same with local paths.

    Raises:
        ConfigError, DataError: see `Cache.file`.
    """
    if isinstance(source, list | tuple):
        return [local_sources(each, cache, suffixes) for each in source]
    if not is_stored(source, suffixes):
        return source
    if "*" in source:
        raise ConfigError(
            f"{_KEY}: expected the address of a file or folder, got the pattern '{source}'; name a file or folder"
        )
    if _suffix(source) in suffixes:
        return str(cache().file(source, key=_KEY))

    def take(name: str) -> bool:
        hidden = any(part.startswith(".") for part in name.split("/"))
        return not hidden and _suffix(name) in suffixes

    return str(cache().tree(source, key=_KEY, take=take))


def _suffix(name: str) -> str:
    return PurePosixPath(place_of(name).name if is_url(name) else name).suffix.lower()
