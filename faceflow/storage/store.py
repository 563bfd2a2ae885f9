"""Access to one store: entries of objects, and their bytes. Errors of the libraries become `StoreError`."""

from __future__ import annotations

import base64
import binascii
import errno
import functools
import importlib.util
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

from faceflow.checks import check_installed
from faceflow.errors import ConfigError

T = TypeVar("T")

MISSING, FORBIDDEN, FAILED = "missing", "forbidden", "failed"
_MODULES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
_WEB = ("http", "https")
_CONNECTIONS = 64  # most connections that the S3 library keeps open
_TRIES = 3  # after those of the library behind a store
_PAUSE_S = 0.5  # before the second try; doubles
_MD5 = re.compile(r"[0-9a-f]{32}")
_LONGEST = 200  # characters of a reason
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_VERSIONS = ("ETag", "etag", "generation", "mtime", "LastModified", "Last-Modified", "created")


class StoreError(Exception):
    """An operation on a store failed; `kind` is missing, forbidden or failed."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Entry of an object in a store: bytes, version, MD5 of its content, and time of writing.

    `modified` is in seconds since 1970; values that a store does not give are None.
    """

    size: int | None
    version: str
    md5: str | None
    modified: float | None


class Store:
    """Reads and writes the objects of one scheme; see `open_store`."""

    def __init__(self, system: Any, scheme: str) -> None:
        self._system, self._scheme = system, scheme

    def look(self, url: str) -> Entry:
        """Look up an object.

        Raises:
            StoreError: it is missing or forbidden, or the store cannot be reached.
        """
        info = self._tried(lambda: self._system.info(url))
        if info.get("type") == "directory":
            raise StoreError(MISSING, "no object of this name")
        return self._entry(info)

    @property
    def lists(self) -> bool:
        """Whether folders can be listed: the web has pages with links at best."""
        return self._scheme not in _WEB

    def list(self, url: str) -> dict[str, Entry]:
        """Objects below a folder by their path in it.

        Raises:
            StoreError: there are no objects, listing is forbidden, or the store cannot be reached.
        """
        if not self.lists:
            raise StoreError(MISSING, "web addresses have no folders")
        found: Mapping[str, Any] = self._tried(lambda: self._system.find(url, detail=True))
        top = str(self._system._strip_protocol(url)).rstrip("/") + "/"
        if not found:
            raise StoreError(MISSING, "no objects below it")
        return {path.removeprefix(top): self._entry(info) for path, info in found.items() if path.startswith(top)}

    def get(self, url: str, path: Path, count: Callable[[int], None]) -> None:
        """Copy an object into a file, in one try.

        Args:
            url: its address.
            path: the file.
            count: called with the number of bytes received; an exception in it ends the copy.

        Raises:
            StoreError: it could not be read completely.
            OSError: the file cannot be written.
        """
        from fsspec.callbacks import Callback

        class Counting(Callback):  # type: ignore[misc]
            def relative_update(self, inc: int = 1) -> None:
                count(inc)

        self._once(lambda: self._system.get_file(url, str(path), callback=Counting()))

    def put(self, path: Path, url: str) -> None:
        """Write a file as an object, which appears when it is complete.

        Raises:
            StoreError: it could not be written.
        """
        self._tried(lambda: self._system.put_file(str(path), url))

    def write(self, url: str, content: bytes) -> None:
        """Write an object.

        Raises:
            StoreError: it could not be written.
        """
        self._tried(lambda: self._system.pipe_file(url, content))

    def remove(self, url: str) -> None:
        """Remove an object.

        Raises:
            StoreError: it could not be removed.
        """
        self._tried(lambda: self._system.rm_file(url))

    def hides_md5(self, url: str) -> bool:
        """Whether S3 encrypts an object, so that its ETag is not the MD5 of its content."""
        if self._scheme not in ("s3", "s3a"):
            return False
        bucket, key, _ = self._system.split_path(url)
        head = self._tried(lambda: self._system.call_s3("head_object", Bucket=bucket, Key=key))
        return "SSECustomerAlgorithm" in head or str(head.get("ServerSideEncryption", "")).startswith("aws:kms")

    def _entry(self, info: Mapping[str, Any]) -> Entry:
        size = info.get("size")
        named = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
        digest = None
        if self._scheme in ("s3", "s3a"):  # of an object that came in parts, the ETag has another form
            digest = found[0] if (found := _MD5.fullmatch(named.strip('"'))) else None
        elif said := info.get("md5Hash") or info.get("Content-MD5"):
            try:
                digest = base64.b64decode(str(said)).hex()
            except binascii.Error:
                digest = None
        return Entry(size=size, version=named or f"{size} bytes", md5=digest, modified=_modified(info))

    def _tried(self, action: Callable[[], T]) -> T:
        """Run an action, with retries for temporary failures."""
        for number in range(_TRIES - 1):
            try:
                return self._once(action)
            except StoreError as error:
                if error.kind != FAILED:
                    raise
                time.sleep(_PAUSE_S * 2**number)
        return self._once(action)

    def _once(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except StoreError:
            raise
        except Exception as error:  # each library behind fsspec has its own
            if isinstance(error, OSError) and error.errno in _OF_DISKS:
                raise
            raise _explained(error) from error


def is_store(scheme: str) -> bool:
    """Whether a scheme is that of a store, not of a camera or stream."""
    if scheme in _MODULES or importlib.util.find_spec("fsspec") is None:
        return scheme in _MODULES
    import fsspec

    return scheme in fsspec.available_protocols()


@functools.cache
def open_store(scheme: str, *, timeout_s: float, key: str) -> Store:
    """Open the store of a scheme, with the credentials that its library finds.

    Args:
        scheme: such as s3.
        timeout_s: longest wait for a connection, and without a byte.
        key: config key of the address, for messages.

    Raises:
        ConfigError: fsspec does not support it, or a package is missing.
    """
    check_installed("fsspec", key=key, install="faceflow[storage]")
    import fsspec

    if scheme not in fsspec.available_protocols():
        raise ConfigError(
            f"{key}: expected s3://, gs://, https:// or another scheme of fsspec, got {scheme}://; check the address"
        )
    if scheme in _MODULES:
        module = _MODULES[scheme]
        check_installed(module, key=key, install="gcsfs" if module == "gcsfs" else "faceflow[storage]")
    try:
        for name in ("botocore", "aiobotocore"):  # which say where they found credentials
            logging.getLogger(name).setLevel(logging.WARNING)
        return Store(fsspec.filesystem(scheme, skip_instance_cache=True, **_options(scheme, timeout_s)), scheme)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())[:_LONGEST]
        raise ConfigError(f"{key}: expected an address that can be opened, got {scheme}:// ({reason})") from error


def _options(scheme: str, timeout_s: float) -> dict[str, Any]:
    """Options of a library: timeouts, and no cached listings."""
    if scheme in ("s3", "s3a"):
        limits: dict[str, Any] = {
            "connect_timeout": timeout_s,
            "read_timeout": timeout_s,
            "retries": {"max_attempts": 1},
        }
        limits["max_pool_connections"] = _CONNECTIONS
        return {"config_kwargs": limits, "use_listings_cache": False}
    if scheme in _WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)
        return {"client_kwargs": {"timeout": timeout}}
    return {"requests_timeout": timeout_s} if scheme in ("gs", "gcs") else {}


def _modified(info: Mapping[str, Any]) -> float | None:
    """Time of writing of an object, whatever the name and format that its store uses."""
    for name in ("LastModified", "mtime", "updated", "Last-Modified", "created"):
        said = info.get(name)
        try:
            if isinstance(said, str):
                is_iso = said[:4].isdecimal()
                said = datetime.fromisoformat(said) if is_iso else parsedate_to_datetime(said)
            if isinstance(said, datetime):
                return said.timestamp()
        except ValueError:
            continue
    return None


def _explained(error: BaseException) -> StoreError:
    """Kind of failure of an error, and its reason from the first cause with a text."""
    causes = [error]
    while (link := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(link)
    statuses = {status for cause in causes if isinstance(status := getattr(cause, "status", None), int)}
    if statuses & {401, 403} or any(isinstance(cause, PermissionError) or _has_none(cause) for cause in causes):
        return StoreError(FORBIDDEN, _reason(causes))
    answered = not any(isinstance(cause, TimeoutError | ConnectionError) for cause in causes)
    refused = {status for status in statuses if status not in (404, 410)}
    if isinstance(error, FileNotFoundError) and answered and not refused and not _unconnected(causes):
        return StoreError(MISSING, "no object of this name")
    return StoreError(FAILED, _reason(causes))


def _has_none(cause: BaseException) -> bool:
    """Whether a library found no credentials."""
    return "Credential" in type(cause).__name__


def _unconnected(causes: list[BaseException]) -> bool:
    return any("Connect" in type(cause).__name__ or "Payload" in type(cause).__name__ for cause in causes)


def _reason(causes: list[BaseException]) -> str:
    for cause in reversed(causes):
        status, message = getattr(cause, "status", None), getattr(cause, "message", None)
        if isinstance(status, int) and message:
            return f"{status} {message}"[:_LONGEST]
    texts = [" ".join(str(cause).split()) for cause in causes]
    found = next((text for text in texts if text), type(causes[0]).__name__)
    return found[:_LONGEST]
