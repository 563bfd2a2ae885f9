"""Errors of a store, or of the disk for its copies, as messages for the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from faceflow.errors import DataError, StorageError
from faceflow.storage.index import InUseError
from faceflow.storage.store import FAILED, FORBIDDEN, MISSING, StoreError

CHANGED = "it changed while it was read"


class RefusedError(StorageError):
    """An object cannot be read; `kind` says why."""

    kind = FAILED


@contextlib.contextmanager
def told(key: str, url: str) -> Iterator[None]:
    """Turn errors of a store into messages with the config key."""
    try:
        yield
    except StoreError as error:
        raise refused(error, key, url) from error
    except InUseError as error:
        job = error.job.rpartition(",")[0]
        raise StorageError(
            f"{key}: expected the version of '{error.path}' that {job} is using, got another version; wait until "
            "that job ends, or set storage.cache=FOLDER"
        ) from error


def refused(error: StoreError, key: str, url: str) -> RefusedError:
    """Error for the user."""
    if error.kind == MISSING:
        text = f"{key}: expected an object on the store, got none at '{url}'; check the address"
    elif error.kind == FORBIDDEN:
        text = (
            f"{key}: expected permission to read the object, got '{url}' ({error}); check the address and the "
            "credentials, see docs/how_to/object_storage.md"
        )
    elif str(error) == CHANGED:
        text = f"{key}: expected an object that does not change, got '{url}' ({error}); rerun when it is complete"
    else:
        text = f"{key}: expected an object that can be read, got '{url}' ({error}); check the network, and rerun"
    refused = RefusedError(text)
    refused.kind = error.kind
    return refused


@contextlib.contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """Name the disk if writing a copy fails."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        reason = error.__cause__.strerror or error.__cause__
        raise StorageError(
            f"storage.cache: expected a writable disk, got '{reason}' for '{folder}'; free space, or set "
            "storage.cache=FOLDER on another disk"
        ) from error
