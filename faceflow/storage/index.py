"""Index of a cache: its copies and the jobs that use them, in an SQLite file, so that several jobs can share them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import StorageError
from faceflow.files import hold

_FILE, _HOLDERS = ".index.sqlite", ".jobs"
_PATIENCE_S = 60.0  # for another job that writes
_TABLES = """
CREATE TABLE IF NOT EXISTS objects (path TEXT PRIMARY KEY, version TEXT, size INTEGER, sha256 TEXT, used REAL);
CREATE TABLE IF NOT EXISTS uses (job TEXT, path TEXT, version TEXT, size INTEGER, PRIMARY KEY (job, path));
CREATE INDEX IF NOT EXISTS used_paths ON uses (path);
"""
_WANTED = "CREATE TEMP TABLE wanted (path TEXT PRIMARY KEY, version TEXT, size INTEGER)"
_numbers = itertools.count()
_ours: set[str] = set()  # jobs of this process, as POSIX locks do not separate them


@dataclass(frozen=True, kw_only=True)
class Held:
    """A copy as fetched: version of its object, size in bytes, and SHA-256."""

    version: str
    size: int
    sha256: str


class InUseError(Exception):
    """Another job uses another version of an object; `path` is that of the copy."""

    def __init__(self, path: str, job: str) -> None:
        super().__init__(job)
        self.path, self.job = path, job


class NoRoomError(Exception):
    """The copies in use by jobs exceed the limit; they have `needed` bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__()
        self.needed = needed


class Index:
    """Copies in a cache folder by path; those that this job uses are kept until `close`.

    Args:
        folder: folder of the cache; created if missing.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = f"process {os.getpid()} on {socket.gethostname()}, {next(_numbers)}"
        with self._readable():
            (folder / _HOLDERS).mkdir(parents=True, exist_ok=True)
            self._sign = (folder / _HOLDERS / self.job).open("w")
            hold(self._sign)
            _ours.add(self.job)
            try:
                with self._open() as found:
                    found.executescript(_TABLES)
            except sqlite3.DatabaseError:
                self._leave()
                raise

    def close(self) -> None:
        """Let other jobs remove copies that this one used."""
        with contextlib.suppress(StorageError, OSError), self._changing() as found:
            found.execute("DELETE FROM uses WHERE job = ?", (self.job,))
        self._leave()

    def held(self, paths: Iterable[str]) -> dict[str, Held]:
        """Known copies among some paths."""
        with self._changing() as found:
            _want(found, ((path, "", 0) for path in paths))
            rows = found.execute(
                "SELECT path, objects.version, objects.size, sha256 FROM objects JOIN wanted USING (path)"
            ).fetchall()
        return {path: Held(version=version, size=size, sha256=sha256) for path, version, size, sha256 in rows}

    def held_now(self, path: str) -> Held | None:
        """Current entry of one path, which another job may have just fetched."""
        with self._readable(), self._open() as found:
            row = found.execute("SELECT version, size, sha256 FROM objects WHERE path = ?", (path,)).fetchone()
        return None if row is None else Held(version=row[0], size=row[1], sha256=row[2])

    def below(self, folder: str) -> list[str]:
        """Known paths below a folder."""
        with self._changing() as found:
            top = f"{folder}/"
            rows = found.execute("SELECT path FROM objects WHERE substr(path, 1, ?) = ?", (len(top), top)).fetchall()
        return [path for (path,) in rows]

    def use(self, wanted: Mapping[str, tuple[str, int]], *, limit: int) -> None:
        """Keep the copies of some objects for this job, and make room by removing the least recently used ones.

        Args:
            wanted: path -> version and bytes.
            limit: bytes of all copies together.

        Raises:
            InUseError: another job uses another version of one of them.
            NoRoomError: copies in use exceed the limit.
        """
        with self._changing() as found:
            self._forget_ended(found)
            _want(found, ((path, *facts) for path, facts in wanted.items()))
            other = found.execute(
                "SELECT uses.path, uses.job FROM uses JOIN wanted USING (path) "
                "WHERE uses.job != ? AND uses.version != wanted.version LIMIT 1",
                (self.job,),
            ).fetchone()
            if other:
                raise InUseError(*other)
            found.execute("INSERT OR REPLACE INTO uses SELECT ?, path, version, size FROM wanted", (self.job,))
            found.execute("UPDATE objects SET used = ? WHERE path IN (SELECT path FROM wanted)", (time.time(),))
            (used,) = found.execute(
                "SELECT coalesce(sum(size), 0) FROM (SELECT path, max(size) AS size FROM uses GROUP BY path)"
            ).fetchone()
            if used > limit:
                raise NoRoomError(used)
            free = "FROM objects WHERE path NOT IN (SELECT path FROM uses)"
            (idle,) = found.execute(f"SELECT coalesce(sum(size), 0) {free}").fetchone()
            for path, size in found.execute(f"SELECT path, size {free} ORDER BY used").fetchall():
                if used + idle <= limit:
                    break
                self._remove(found, path)
                idle -= size

    def add(self, fetched: Mapping[str, Held]) -> None:
        """Record fetched copies."""
        rows = [(path, held.version, held.size, held.sha256, time.time()) for path, held in fetched.items()]
        with self._changing() as found:
            found.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", rows)

    def drop(self, paths: Iterable[str]) -> None:
        """Remove copies whose objects are gone.

        Raises:
            InUseError: another job uses one of them.
        """
        with self._changing() as found:
            self._forget_ended(found)
            for path in paths:
                query = "SELECT path, job FROM uses WHERE path = ? AND job != ?"
                if other := found.execute(query, (path, self.job)).fetchone():
                    raise InUseError(*other)
                self._remove(found, path)

    def _remove(self, found: sqlite3.Connection, path: str) -> None:
        copy = self.folder / path
        copy.unlink(missing_ok=True)
        found.execute("DELETE FROM objects WHERE path = ?", (path,))
        with contextlib.suppress(OSError):  # a folder that is not empty stays
            copy.parent.rmdir()

    def _forget_ended(self, found: sqlite3.Connection) -> None:
        """Forget the uses of jobs that ended without `close`, as after SIGKILL."""
        for (job,) in found.execute("SELECT DISTINCT job FROM uses").fetchall():
            if job in _ours:
                continue
            sign = self.folder / _HOLDERS / job
            with contextlib.suppress(FileNotFoundError), sign.open("r+") as file:
                if not hold(file):
                    continue
                sign.unlink()
            found.execute("DELETE FROM uses WHERE job = ?", (job,))

    def _leave(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / _HOLDERS / self.job).unlink()
        self._sign.close()
        _ours.discard(self.job)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.folder / _FILE, timeout=_PATIENCE_S, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Transaction on the index, one job at a time."""
        with self._readable(), self._open() as found:
            found.execute("BEGIN IMMEDIATE")
            try:
                yield found
            except BaseException:
                found.execute("ROLLBACK")
                raise
            found.execute("COMMIT")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{self.folder / _FILE}: expected the index of a cache, got '{error}'; check the disk, or remove the "
                "whole folder"
            ) from error
        except OSError as error:
            raise StorageError(
                f"storage.cache: expected a writable folder, got '{self.folder}' "
                f"({error.strerror or error}); set storage.cache=FOLDER"
            ) from error


def _want(found: sqlite3.Connection, rows: Iterable[tuple[str, str, int]]) -> None:
    found.execute(_WANTED)
    found.executemany("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)", rows)
