"""Addresses of objects on a store: `s3://bucket/faces.csv`, `gs://...`, `https://...`, or other schemes of fsspec."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from faceflow.errors import ConfigError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)  # one letter is a drive of Windows
_WEB = ("http", "https")


def is_url(value: object) -> bool:
    """Whether a value of a config names an object on a store, not a file of this machine."""
    return isinstance(value, str) and _SCHEME.match(value) is not None


def check_url(url: str, *, key: str) -> str:
    """Check an address, and return it without a trailing slash.

    Raises:
        ConfigError: it cannot be the address of an object, or has a password.
    """
    scheme, rest = scheme_of(url), _rest(url)
    host = rest.partition("/")[0]
    if "@" in host and scheme in _WEB:
        raise ConfigError(
            f"{key}: expected an address without a password, got one for '{host.rpartition('@')[2]}'; give credentials "
            "as in docs/how_to/object_storage.md"
        )
    parts = _path(url).strip("/").split("/")
    if scheme == "file" or not all(parts) or {".", ".."} & set(parts):
        example = "s3://bucket/faces.csv"
        found = f"'{url}'" + ("; leave file:// out" if scheme == "file" else "; check it")
        raise ConfigError(f"{key}: expected an address such as {example}, got {found}")
    return url.rstrip("/")


def scheme_of(url: str) -> str:
    """Part before ://, in lower case."""
    found = _SCHEME.match(url)
    assert found is not None, f"{url} is an address"
    return found[1].lower()


def below(url: str, name: str) -> str:
    """Address of a file by its path below a folder."""
    if scheme_of(url) in _WEB:
        name = quote(name)
    return f"{url.rstrip('/')}/{name}"


def folder_of(url: str) -> str:
    """Address of the folder that an object is in."""
    return f"{scheme_of(url)}://{posixpath.dirname(_path(url))}"


def place_of(url: str) -> Path:
    """Path of an object's copy below the cache: `s3/bucket/faces.csv`; a web query is left out."""
    return Path(scheme_of(url), *PurePosixPath(_path(url).strip("/")).parts)


def with_urls(text: str, cache: Path) -> str:
    """Replace paths in the cache in a message by addresses."""
    root = re.escape(f"{cache}/")
    return re.sub(rf"{root}([a-z][a-z0-9+.-]+)/", r"\1://", text)


def _rest(url: str) -> str:
    return url[len(scheme_of(url)) + len("://") :]


def _path(url: str) -> str:
    """Host or bucket, and the path; on the web without the part after ? or #."""
    return re.split(r"[?#]", _rest(url))[0] if scheme_of(url) in _WEB else _rest(url)
