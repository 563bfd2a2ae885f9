"""Fetching objects as files: complete, of one version, and checked against the store's size and MD5."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faceflow.errors import StorageError
from faceflow.files import remove_leftovers, whole_file
from faceflow.progress import progress_bar
from faceflow.storage.index import Held, Index
from faceflow.storage.refusals import CHANGED, RefusedError, on_disk, told
from faceflow.storage.store import FAILED, Entry, Store, StoreError
from faceflow.storage.threads import each
from faceflow.storage.urls import place_of

log = logging.getLogger(__name__)

_MB = 10**6
_TRIES = 3
_PAUSE_S = 0.2  # before the second try; doubles
_NOTED = 200  # copies noted in the index at once
_LEFTOVER_S = 3600.0  # age at which partial files of killed jobs are removed


@dataclass(kw_only=True)
class _Copying:
    """State shared by fetching threads: bytes received, and whether to stop."""

    done: int = 0
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, more: int) -> None:
        """Count bytes, or raise to end the copy after a stop."""
        if self.stopped:
            raise StoreError(FAILED, "stopped")
        with self.lock:
            self.done += more


def fetch(wanted: Mapping[str, Entry], store: Store, index: Index, *, limit: int, threads: int, key: str) -> None:
    """Copy objects into the folder of a cache; each file appears when it is complete.

    Args:
        wanted: address -> its entry in the store.
        store: store of all of them.
        index: index of the cache.
        limit: bytes of all copies together.
        threads: that fetch.
        key: config key that names them, for messages.

    Raises:
        StorageError: an object cannot be read completely, or the disk is full.
    """
    if not wanted:
        return
    remove_leftovers(index.folder, older_than_s=_LEFTOVER_S)
    copying, noted = _Copying(), dict[str, Held]()
    urls = list(wanted)
    random.Random().shuffle(urls)  # jobs that fill one cache start with different objects and so share the work

    def copy(url: str) -> tuple[str, Held | None]:
        path, entry = place_of(url).as_posix(), wanted[url]
        now = index.held_now(path)
        if now is not None and now.version == entry.version and is_whole(index.folder / path, now, url=url):
            return path, None  # another job was faster
        return path, _fetched(url, entry, store, index, copying, limit=limit, key=key)

    total = sum(entry.size or 0 for entry in wanted.values())
    shown = 0
    log.info("Fetching %d %s, %.1f MB", len(wanted), "file" if len(wanted) == 1 else "files", total / _MB)
    with progress_bar("Fetching", -(-total // _MB), unit="MB") as bar:

        def tick() -> None:
            nonlocal shown
            now = copying.done // _MB
            bar.advance(max(0, now - shown))
            shown = max(shown, now)

        try:
            for path, held in each(urls, copy, threads=threads, tick=tick):
                if held is not None:
                    noted[path] = held
                if len(noted) >= _NOTED:
                    index.add(noted)
                    noted.clear()
        finally:
            copying.stopped = True
            index.add(noted)


def is_whole(path: Path, held: Held, *, url: str) -> bool:
    """Whether a copy still has the bytes that were fetched.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == held.sha256:
                return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path}: expected a copy that can be read, got '{error.strerror}'; remove it") from error
    log.warning("%s: its copy in storage.cache has changed; fetching it again", url)
    return False


def _fetched(url: str, entry: Entry, store: Store, index: Index, copying: _Copying, *, limit: int, key: str) -> Held:
    for number in range(_TRIES):
        try:
            return _copied(url, entry, store, index.folder, copying, key=key)
        except RefusedError as error:
            if error.kind != FAILED or number == _TRIES - 1 or copying.stopped:
                raise
            time.sleep(_PAUSE_S * 2**number)
        with told(key, url):
            now = store.look(url)
            if now.version != entry.version:
                index.use({place_of(url).as_posix(): (now.version, now.size or 0)}, limit=limit)
            entry = now
    raise AssertionError("the last try returns or raises")


def _copied(url: str, entry: Entry, store: Store, folder: Path, copying: _Copying, *, key: str) -> Held:
    with told(key, url), on_disk(folder), whole_file(folder / place_of(url)) as partial:
        store.get(url, partial, copying.count)
        held = _read(partial, entry, hides_md5=lambda: store.hides_md5(url))
        if entry.md5 is None and store.look(url).version != entry.version:
            raise StoreError(FAILED, CHANGED)
        if entry.modified is not None:  # as on every other machine
            os.utime(partial, (entry.modified, entry.modified))
        return held


def _read(path: Path, entry: Entry, *, hides_md5: Callable[[], bool]) -> Held:
    """Check a file against the store's entry for its object."""
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        raise StoreError(FAILED, f"received {size} of {entry.size} bytes")
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            md5.update(block)
    if entry.md5 is not None and md5.hexdigest() != entry.md5 and not hides_md5():
        raise StoreError(FAILED, f"received bytes with MD5 {md5.hexdigest()}, not {entry.md5}")
    return Held(version=entry.version, size=size, sha256=sha256.hexdigest())
