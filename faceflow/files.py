"""Files are written whole or not at all, and a file or folder has one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from faceflow.errors import ConfigError, DataError

if sys.platform != "win32":
    import fcntl

LOCK = ".claim"
_LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\.\w+)?")  # some writers want the suffix of their format
_taken_over: list[TextIO] = []  # locks of processes that died
_claims: dict[Path, Claim] = {}  # of this process: POSIX locks do not separate two claims of one process


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it when the block succeeds; missing folders are created.

    Raises:
        DataError: the file cannot be written; an earlier file is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # matches _LEFTOVER
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: expected a writable file, got '{reason}'; check disk and path") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


class FileWatch:
    """Tells which files were written after it was made."""

    def __init__(self, *paths: Path) -> None:
        self._before = {path: _state(path) for path in paths}

    def written(self, path: Path) -> bool:
        """Whether one of its files exists and has changed; clocks of file servers do not matter."""
        now = _state(path)
        return now is not None and now != self._before[path]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def remove_leftovers(folder: Path, *, older_than_s: float) -> None:
    """Remove partial files below a folder that `whole_file` began in processes that were killed."""
    for path in folder.rglob(".*"):
        if _LEFTOVER.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):  # its process may be alive and may have just renamed it
                if path.is_file() and time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()


def new_folder(path: Path) -> Path:
    """Create a new folder: `path`, or if that exists, the first free of `path`_2, `path`_3, ..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}_{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError("numbers do not end")


def hold(file: IO[Any]) -> bool:
    """Lock a file until it is closed or this process ends; False if another process holds the lock.

    Child processes, such as those of a data loader, do not inherit the lock, so it is free as soon as the process that
    held it is killed. On a file system without locks nothing is ever locked.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # others: a file system without locks
    return True


class Claim:
    """The right of this process to write to a place; see `claim`."""

    def __init__(self, lock: Path, file: TextIO, made: list[Path]) -> None:
        self.lock, self.file, self.made = lock, file, made
        self.process = os.getpid()

    def release(self) -> None:
        """Let others write there; remove folders that were created for the claim and are empty."""
        if _claims.get(self.lock) is not self or self.process != os.getpid():  # a forked child
            return
        del _claims[self.lock]
        with contextlib.suppress(OSError):
            self.lock.unlink()  # before the lock is free: a waiting process must not lock a deleted file
        self.file.close()
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def claim(path: Path, *, key: str, folder: bool) -> Claim:
    """Claim a place until the claim is released or this process ends, by a lock on a hidden file.

    Args:
        path: a folder, created if missing, or a file to write.
        key: config key that named it, for messages.
        folder: whether `path` is a folder.

    Raises:
        ConfigError: another running process holds it, or this one already does.
        DataError: it cannot be written.
    """
    path = path.absolute()
    lock = path / LOCK if folder else path.with_name(f".{path.name}{LOCK}")
    if lock in _claims:  # opening and closing the file again would free the lock
        raise _held(path, key, "by this process")
    try:
        missing = itertools.takewhile(lambda above: not above.exists(), lock.parents)
        made = list(missing)[::-1]  # the uppermost first
        lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = lock.open("a+", encoding="utf-8")
            if not hold(file):
                file.seek(0)
                holder = file.read(200).strip()
                file.close()
                raise _held(path, key, holder or "by one that has just started")
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                    break
            file.close()  # its holder has just removed it
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    except OSError as error:
        kind, reason = "folder" if folder else "file", error.strerror or str(error)
        raise DataError(f"{path}: expected a writable {kind}, got '{reason}'; check disk and path") from error
    _claims[lock] = Claim(lock, file, made)
    return _claims[lock]


def died_in(folder: Path) -> bool:
    """Whether the process that claimed a folder, or one of its parts, died before it released it.

    Only one of several processes that ask gets True: it takes over the lock.
    """
    folder = folder.absolute()
    for lock in (folder / LOCK, folder.with_name(f".{folder.name}{LOCK}"), folder.parent / LOCK):
        with contextlib.suppress(OSError):
            file = lock.open("r+", encoding="utf-8")
            if hold(file):
                _taken_over.append(file)
                return True
            file.close()
    return False


def _held(path: Path, key: str, holder: str) -> ConfigError:
    return ConfigError(
        f"{key}: expected a place that no other command is writing to, got '{path}', in use ({holder}); "
        "wait until that command ends, or choose another place"
    )


@contextlib.contextmanager
def claimed(path: Path, *, key: str, folder: bool) -> Iterator[None]:
    """Hold a claim while the block runs; see `claim`."""
    held = claim(path, key=key, folder=folder)
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def claimed_if_free(folder: Path) -> Iterator[bool]:
    """Hold the claim on a folder while the block runs, if no other command does; yields whether it is held.

    Raises:
        DataError: it cannot be written.
    """
    try:
        held = claim(folder, key="output", folder=True)
    except ConfigError:
        yield False
        return
    try:
        yield True
    finally:
        held.release()
