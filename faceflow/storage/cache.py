"""Local copies of objects: fetched by several threads, checked, kept up to a limit, shared between jobs."""

from __future__ import annotations

import contextlib
import functools
import posixpath
import shutil
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_number, check_whole
from faceflow.errors import StorageError
from faceflow.progress import progress_bar
from faceflow.storage.fetching import fetch, is_whole
from faceflow.storage.index import Index, NoRoomError
from faceflow.storage.refusals import refused, told
from faceflow.storage.store import FAILED, MISSING, Entry, Store, StoreError, open_store
from faceflow.storage.threads import each
from faceflow.storage.urls import below, check_url, place_of, scheme_of, with_urls

_GB, _MB = 10**9, 10**6
_LISTED = 16  # from this number of names on, the folder is listed instead of looking up each object
_READERS = 8  # threads


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """How objects are copied: folder of the copies, its limit, threads, and the longest wait for a byte."""

    cache: str
    gb: float
    connections: int
    timeout_s: float

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of range."""
        check_number(self.gb, key="storage.gb", expected="a number > 0", valid=lambda value: value > 0)
        check_number(self.timeout_s, key="storage.timeout_s", expected="seconds > 0", valid=lambda value: value > 0)
        check_whole(self.connections, key="storage.connections", lowest=1, highest=256)


class Cache:
    """Copies of objects in a folder, with paths like their addresses: `s3/bucket/faces.csv`.

    Every command looks up each object again. A copy is used if it has the current version and its bytes still have the
    SHA-256 of when they were fetched; otherwise the object is fetched again.

    Raises:
        ConfigError: a setting out of range.
        StorageError: the folder cannot be written.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self.settings = settings
        self.folder = Path(settings.cache).expanduser().absolute()
        self.index = Index(self.folder)
        self._files: dict[str, Path] = {}
        self._absent: dict[str, StoreError] = {}
        self._limit = int(settings.gb * _GB)

    def file(self, url: str, *, key: str) -> Path:
        """Copy an object.

        Args:
            url: its address.
            key: config key that names it, for messages.

        Raises:
            ConfigError: not an address of a known kind.
            StorageError: it is missing, forbidden, cannot be read completely, or there is no room for it.
        """
        found = self.file_if_there(url, key=key)
        if found is None:
            with told(key, url):
                raise self._absent[check_url(url, key=key)]
        return found

    def file_if_there(self, url: str, *, key: str) -> Path | None:
        """Copy an object; None if there is none, or if access is forbidden."""
        url = check_url(url, key=key)
        if url not in self._files and url not in self._absent:  # the same version throughout a command
            try:
                entry = self.store(url, key=key).look(url)
            except StoreError as error:
                if error.kind == FAILED:
                    raise refused(error, key, url) from error
                self._absent[url] = error
                return None
            self._bring({url: entry}, key=key)
            self._files[url] = self._path(url)
        return self._files.get(url)

    def files(self, folder: str, names: Iterable[str], *, key: str) -> Path:
        """Copy some files of a folder; missing ones are left out, and old copies of them are removed from the cache.

        Args:
            folder: its address.
            names: paths below it.
            key: config key that names it, for messages.

        Returns:
            The folder of the copies.
        """
        folder = check_url(folder, key=key)
        wanted = dict.fromkeys(spelt for name in names for spelt in _spellings(name))
        found = self._found(folder, wanted, key=key)
        place = self._path(folder)
        with told(key, folder), contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
        urls = {below(folder, name): name for name in wanted}
        gone = [self._inside(url) for url, name in urls.items() if name not in found]
        with told(key, folder):
            self.index.drop(self.index.held(gone))
        self._bring({below(folder, name): entry for name, entry in found.items()}, key=key)
        return place

    def tree(self, folder: str, *, key: str, take: Callable[[str], bool]) -> Path:
        """Copy all files below a folder for which `take` accepts the path in it.

        Returns:
            The folder of the copies, without other files that `take` accepts.
        """
        folder = check_url(folder, key=key)
        store = self.store(folder, key=key)
        with told(key, folder):
            found = {name: entry for name, entry in store.list(folder).items() if take(name)}
            kept = {self._inside(below(folder, name)) for name in found}
            top = self._inside(folder)
            stale = [path for path in self.index.below(top) if path not in kept and take(path[len(top) + 1 :])]
            self.index.drop(stale)
        self._bring({below(folder, name): entry for name, entry in found.items()}, key=key)
        return self._path(folder)

    def is_folder(self, url: str, *, key: str) -> bool:
        """Whether there is no object at an address, but objects below it."""
        url = check_url(url, key=key)
        store = self.store(url, key=key)
        try:
            store.look(url)
        except StoreError as error:
            if error.kind == MISSING:
                with told(key, url):
                    return store.lists and bool(store.list(url))
            raise refused(error, key, url) from error
        return False

    def store(self, url: str, *, key: str) -> Store:
        """Store of an object."""
        return open_store(scheme_of(url), timeout_s=self.settings.timeout_s, key=key)

    def _path(self, url: str) -> Path:
        return self.folder / place_of(url)

    def _inside(self, url: str) -> str:
        return place_of(url).as_posix()

    def _found(self, folder: str, names: Collection[str], *, key: str) -> dict[str, Entry]:
        """Entries of the store for the existing ones of some files of a folder."""
        store = self.store(folder, key=key)
        if store.lists and len(names) >= _LISTED:
            try:
                listed = store.list(folder)
                return {name: listed[name] for name in names if name in listed}
            except StoreError as error:
                if error.kind == FAILED:
                    raise refused(
                        error, key, folder
                    ) from error  # permission to read objects does not imply permission to list them

        def look(name: str) -> tuple[str, Entry | None]:
            url = below(folder, name)
            try:
                return name, store.look(url)
            except StoreError as error:
                if error.kind == MISSING:
                    return name, None
                raise refused(error, key, url) from error

        found = {}
        with progress_bar("Looking for files", len(names), unit="files") as bar:
            for name, entry in each(names, look, threads=self.settings.connections):
                bar.advance()
                if entry is not None:
                    found[name] = entry
        return found

    def _bring(self, wanted: Mapping[str, Entry], *, key: str) -> None:
        """Make sure that the copies of some objects exist and are correct."""
        if not wanted:
            return
        paths = {url: self._inside(url) for url in wanted}
        uses = {paths[url]: (entry.version, entry.size or 0) for url, entry in wanted.items()}
        with told(key, next(iter(wanted))):
            try:
                self.index.use(uses, limit=self._limit)
            except NoRoomError as error:
                raise StorageError(
                    f"storage.gb: expected at least {error.needed / _GB:.2f} GB for all files in use by this job and "
                    f"others, got {self.settings.gb:g}; raise it"
                ) from error
        held = self.index.held(uses)
        known = [url for url, entry in wanted.items() if (of := held.get(paths[url])) and of.version == entry.version]
        whole: set[str] = set()

        def check(url: str) -> tuple[str, bool]:
            return url, is_whole(self._path(url), held[paths[url]], url=url)

        with progress_bar("Checking copies", len(known), unit="files") as bar:
            for url, right in each(known, check, threads=min(_READERS, self.settings.connections)):
                bar.advance()
                if right:
                    whole.add(url)
        missing = {url: entry for url, entry in wanted.items() if url not in whole}
        self._check_disk(sum(entry.size or 0 for entry in missing.values()))
        store = self.store(next(iter(wanted)), key=key)
        fetch(missing, store, self.index, limit=self._limit, threads=self.settings.connections, key=key)

    def _check_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StorageError(
                f"storage.cache: expected room for {needed / _GB:.2f} GB on the disk of '{self.folder}', got "
                f"{free / _GB:.2f} GB; free some, or set storage.cache=FOLDER on another disk"
            )


@functools.cache
def open_cache(settings: StorageSettings) -> Cache:
    """The cache of a command, one per settings."""
    _opened.append(cache := Cache(settings))
    return cache


_opened: list[Cache] = []


def leave_caches() -> None:
    """Let other jobs remove copies that this command used; the next command looks up everything again."""
    while _opened:
        _opened.pop().index.close()
    open_cache.cache_clear()
    open_store.cache_clear()


def as_addresses(text: str) -> str:
    """Replace paths of copies in a message by the addresses of their objects."""
    for cache in _opened:
        text = with_urls(text, cache.folder)
    return text


def _spellings(name: str) -> Iterator[str]:
    """Possible names of the object for a path in a table: with slashes, and accents in both Unicode forms."""
    name = posixpath.normpath(name.replace("\\", "/"))
    if name.startswith(("/", "..")) or name == ".":
        return  # the reader of the table refuses it, or finds no file
    yield name
    if not name.isascii():
        yield from (form for kind in ("NFC", "NFD") if (form := unicodedata.normalize(kind, name)) != name)
