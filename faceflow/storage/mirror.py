"""Mirror of a run folder on a store: new files are copied in the background; failures do not end the run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from faceflow.errors import ConfigError, StorageError
from faceflow.progress import waiting
from faceflow.storage.store import MISSING, Store, StoreError, open_store
from faceflow.storage.urls import below, check_url, scheme_of

log = logging.getLogger(__name__)

KEY = "mirror"
_STAGED = ".mirror"  # folder of links to the checkpoints that are being copied
_RESULTS = (".ckpt", "metrics.json")
_NAMED = 5  # of the files that a message is about
_PATIENCE_S = 20.0  # for the current copy when the run is stopped

State = tuple[int, int, int]  # of a file: size, modification time, inode


class Mirror:
    """Copies a folder to a store; see `mirrored`.

    Checkpoints that belong together are copied together: `update` creates links to them, so that later ones can replace
    them in the meantime. The last checkpoint of a run is copied after the best one, which it refers to.
    """

    def __init__(self, folder: Path, url: str, store: Store, *, there: set[str]) -> None:
        self.folder, self.url, self._store = folder, url, store
        self._copied: dict[str, State] = {}
        self._there = there  # checkpoints on the store
        self._failed = ""  # reason of the last failure
        self._stages = itertools.count()
        self._work: queue.Queue[dict[str, tuple[Path, State]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._copy_on, name="mirror", daemon=True)
        self._thread.start()

    def update(self) -> None:
        """Start copying new files, unless the previous copy has not finished."""
        if self._work.empty():
            self._work.put(self._staged())

    def finish(self) -> None:
        """Copy all new files, and log the result."""
        with waiting(f"Copying the run to {self.url}"):
            self._end()
            self._failed = ""
            left = self._copy(self._found())
        if not left:
            log.info("%s: the run is at %s", KEY, self.url)
            return
        shown = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
        log.warning(
            "%s: %d files of the run were not copied to '%s' (%s): %s; copy them from %s, which has all files",
            *(KEY, len(left), self.url, self._failed, shown, self.folder),
        )

    def stop(self) -> None:
        """Stop copying, after waiting briefly for the current copy."""
        self._end(patience_s=_PATIENCE_S)

    def _end(self, patience_s: float | None = None) -> None:
        self._work.put(None)
        self._thread.join(patience_s)
        shutil.rmtree(self.folder / _STAGED, ignore_errors=True)

    def _copy_on(self) -> None:
        while (staged := self._work.get()) is not None:
            before = self._failed
            self._failed = ""
            self._copy(staged)
            for link in (path for path, _ in staged.values() if _STAGED in path.parts):
                link.unlink(missing_ok=True)
            if self._failed and not before:
                log.warning(
                    "%s: expected a writable store, got '%s' (%s); the run goes on and tries again at its "
                    "next checkpoint",
                    *(KEY, self.url, self._failed),
                )

    def _copy(self, files: Mapping[str, tuple[Path, State]]) -> list[str]:
        """Copy new files; return the names of those that could not be copied."""
        left = []
        for name in sorted(files, key=lambda name: (name.endswith("last.ckpt"), name)):
            path, state = files[name]
            if self._copied.get(name) == state:
                continue
            if self._failed:  # each further attempt would wait as long
                left.append(name)
                continue
            try:
                self._store.put(path, below(self.url, name))
                self._copied[name] = state
            except (StoreError, OSError) as error:
                if not path.exists():  # removed in the meantime
                    continue
                self._failed = " ".join(str(error).split())
                left.append(name)
        if not left:
            self._remove_gone(set(files))
        return left

    def _remove_gone(self, files: set[str]) -> None:
        """Remove checkpoints from the store that the run has removed."""
        mine = {name for name in self._copied if name.endswith(".ckpt")} | self._there
        for name in sorted(mine - files):
            if not (self.folder / name).parent.is_dir():  # of a fold that another job runs
                continue
            with contextlib.suppress(StoreError):
                self._store.remove(below(self.url, name))
                self._copied.pop(name, None)
                self._there.discard(name)

    def _staged(self) -> dict[str, tuple[Path, State]]:
        """Current files: links to new checkpoints, and the other files themselves."""
        files, stage = self._found(), self.folder / _STAGED / str(next(self._stages))
        for name, (path, state) in files.items():
            if path.suffix == ".ckpt" and self._copied.get(name) != state:
                link = stage / name
                link.parent.mkdir(parents=True, exist_ok=True)
                try:
                    link.hardlink_to(path)
                except OSError:  # a file system without links
                    shutil.copyfile(path, link)
                files[name] = link, state
        return files

    def _found(self) -> dict[str, tuple[Path, State]]:
        found = {}
        for path in _visible(self.folder):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found[path.relative_to(self.folder).as_posix()] = path, (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        return found


@contextlib.contextmanager
def mirrored(url: str, folder: Path, *, timeout_s: float, replaces: bool) -> Iterator[Mirror]:
    """Mirror a folder while the block runs.

    Args:
        url: of the folder on the store.
        folder: of a run.
        timeout_s: longest wait for the store.
        replaces: whether the run resumes from the results there, or may replace them.

    Raises:
        ConfigError: not an address of a writable store, or there are results of another run.
        StorageError: the store cannot be reached at the start.
    """
    mirror = _opened(url, folder, timeout_s=timeout_s, replaces=replaces)
    try:
        yield mirror
    except BaseException:
        mirror.stop()
        raise
    mirror.finish()


def _opened(url: str, folder: Path, *, timeout_s: float, replaces: bool) -> Mirror:
    url = check_url(url, key=KEY)
    if scheme_of(url) in ("http", "https"):
        raise ConfigError(f"{KEY}: expected a writable store, such as s3://bucket/run, got '{url}'")
    store = open_store(scheme_of(url), timeout_s=timeout_s, key=KEY)
    try:
        there = set(store.list(url))
    except StoreError as error:
        if error.kind != MISSING:
            raise _unwritable(url, error) from error
        there = set()
    results = sorted(name for name in there if name.endswith(_RESULTS))
    if results and not replaces:
        raise ConfigError(
            f"{KEY}: expected an address without results, got '{url}' with {results[0]} of an earlier run; resume it "
            f"with resume={url}, choose another address, or replace the results with overwrite=true"
        )
    try:
        probe = below(url, ".faceflow")  # check write access before hours of training
        store.write(probe, b"")
    except StoreError as error:
        raise _unwritable(url, error) from error
    with contextlib.suppress(StoreError):  # permission to write does not imply permission to remove
        store.remove(probe)
    return Mirror(folder, url, store, there={name for name in there if name.endswith(".ckpt")})


def _unwritable(url: str, error: StoreError) -> StorageError:
    return StorageError(
        f"{KEY}: expected a writable store, got '{url}' ({error}); check the address and the credentials, "
        "see docs/how_to/object_storage.md"
    )


def _visible(folder: Path) -> Iterator[Path]:
    """Files of a run; hidden ones are incomplete and skipped, except Hydra's records."""
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") or name == ".hydra")
        yield from (Path(current, name) for name in sorted(files) if not name.startswith("."))
