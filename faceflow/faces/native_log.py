"""Log lines that native libraries print, and use them as the reason if a library fails or aborts."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

log = logging.getLogger(__name__)

_STDERR = 2
_USER_ERROR = 2  # exit code
_LONGEST = 200  # characters of a reason
START_HINT = (
    "check the limits on memory and threads (ulimit -v, ulimit -u, docker --memory, --pids-limit), and whether its "
    "system libraries are installed"
)
# What glog, Abseil, TensorFlow Lite and the C++ runtime print before they fail, most reliable first.
_FAULTS = (re.compile(r"^F\d{4} |\bterminat(e|ing)\b"), re.compile(r"^E\d{4} |^ERROR\b|Check failed|\] CHECK in "))
_GLOG_PREFIX = re.compile(r"^[EF]\d{4} [\d:.]+ +\d+ (?=\S+\.\w+:\d+\] )")

_one_at_a_time = threading.Lock()
_terminal: int | None = None  # a copy of descriptor 2 while it is caught


class NativeLines:
    """Lines printed so far."""

    def __init__(self, printed: IO[bytes]) -> None:
        self._printed = printed

    def read(self) -> list[str]:
        """All lines except empty ones."""
        size = os.fstat(self._printed.fileno()).st_size
        text = os.pread(self._printed.fileno(), size, 0).decode(errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def fault(self) -> str:
        """Last line that reports a fault; empty if there is none."""
        lines = self.read()
        for pattern in _FAULTS:
            if found := [line for line in lines if pattern.search(line)]:
                return _GLOG_PREFIX.sub("", found[-1])[:_LONGEST]
        return ""


@contextlib.contextmanager
def native_lines_logged(library: str = "a native library") -> Iterator[NativeLines]:
    """Log, at level DEBUG, what is printed to file descriptor 2 while the block runs.

    MediaPipe's logger has no switch that works: neither its flags nor the environment variables of glog, Abseil and
    TensorFlow silence it. Python's own `sys.stderr` is captured too, so blocks should be short. If the library aborts
    the process, one line gives the reason, and the exit code is 2.

    Args:
        library: its name, for that line.
    """
    global _terminal
    with _one_at_a_time, tempfile.TemporaryFile() as printed:
        lines = NativeLines(printed)
        sys.stderr.flush()
        _terminal = os.dup(_STDERR)
        os.dup2(printed.fileno(), _STDERR)
        try:
            with _abort_explained(library, lines):
                yield lines
        finally:
            sys.stderr.flush()
            _restore_terminal()
            for line in lines.read():
                log.debug("%s", line)


@contextlib.contextmanager
def _abort_explained(library: str, lines: NativeLines) -> Iterator[None]:
    """Print why the library calls abort(); otherwise its last lines would be lost with the process.

    The handler is a C function, because Python's handlers run only after native code returns.
    """
    if os.name != "posix":
        yield
        return

    def explain(number: int) -> None:
        reason = lines.fault() or "no reason given"
        line = f"ConfigError: expected {library} to start, got '{reason}', which aborted it; {START_HINT}\n"
        os.write(_STDERR if _terminal is None else _terminal, line.encode())
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(_USER_ERROR)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(explain)
    set_handler: Any = ctypes.CDLL(None).signal
    set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    before = set_handler(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(signal.SIGABRT, before)


def _restore_terminal() -> None:
    global _terminal
    if _terminal is not None:
        os.dup2(_terminal, _STDERR)
        os.close(_terminal)
        _terminal = None


def _start_anew() -> None:
    """In a forked child, undo the capture that another thread of the parent had begun."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _restore_terminal()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_start_anew)
