"""Leases: processes, even on several machines with one file system, share work without direct communication."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceflow.errors import DataError

RENEW_S = 15.0
STALE_S = 120.0  # without a renewal, after which its machine counts as gone
_NAME = re.compile(r"\.lease\.(\d+)")


class Lease:
    """The right to work on a folder, renewed while its process lives; `lost` if another process took it over."""

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, False
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()

    def end(self) -> None:
        """Let others work there."""
        self._ended.set()
        self._renewal.join()
        leases = [path for path, _ in _leases(self.path.parent)]
        if leases[-1:] == [self.path]:  # otherwise another process took it over
            for path in leases:
                path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            with contextlib.suppress(OSError):
                self.lost = _leases(self.path.parent)[-1][0] != self.path
                os.utime(self.path)


@contextlib.contextmanager
def leased(folder: Path) -> Iterator[Lease | None]:
    """Hold the lease on a folder while the block runs; None if another live process holds it.

    A lease is a file created exclusively, which succeeds for only one process. The lease of a dead process is followed
    by one with the next number, so that again only one process can take over. A process counts as dead if it no longer
    runs on this machine, or, on another machine, if its lease was not renewed for two minutes.

    Raises:
        DataError: the folder cannot be written.
    """
    held = _take(folder)
    try:
        yield held
    finally:
        if held is not None:
            held.end()


def _take(folder: Path) -> Lease | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        leases = _leases(folder)
        if leases and not _is_dead(leases[-1][0]):
            return None
        path = folder / f".lease.{leases[-1][1] + 1 if leases else 0}"
        holder = {**_machine(), "process": os.getpid(), "started": _started(os.getpid())}
        with path.open("x", encoding="utf-8") as file:
            json.dump(holder, file)
    except FileExistsError:
        return None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{folder}: expected a writable folder, got '{reason}'; check disk and path") from error
    return Lease(path)


def _leases(folder: Path) -> list[tuple[Path, int]]:
    """Files of leases with their numbers; the last one is valid."""
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.glob(".lease.*"))
    return sorted(((path, int(match[1])) for path, match in found if match), key=lambda each: each[1])


def _is_dead(path: Path) -> bool:
    try:
        holder: Any = json.loads(path.read_text("utf-8"))
        if all(holder.get(key) == value for key, value in _machine().items()):
            return bool(_started(holder["process"]) != holder["started"])
    except FileNotFoundError:  # its process has just ended it
        return False
    except (OSError, ValueError, AttributeError, KeyError):  # it is being written, or its process died while writing
        pass
    return _age(path) > STALE_S


def _age(path: Path) -> float:
    """Seconds since a lease was renewed, by the file system's clock: the clocks of two machines may differ."""
    probe = path.with_name(f".now.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _machine() -> dict[str, str]:
    """What makes process numbers comparable: the same machine, boot and container (PID namespace)."""
    facts = {"host": socket.gethostname(), "boot": "", "numbers": ""}
    with contextlib.suppress(OSError):
        facts["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        facts["numbers"] = str(Path("/proc/self/ns/pid").readlink())
    return facts


def _started(process: int) -> str | None:
    """Start time of a process of this machine, since its number may be reused; None if there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            state, *fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else fields[18]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "running"
