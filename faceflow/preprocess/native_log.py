"""Lines that native libraries print are logged instead."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

log = logging.getLogger(__name__)

_STDERR = 2
_one_at_a_time = threading.Lock()
_terminal: int | None = None  # a copy of descriptor 2 while it is caught


@contextlib.contextmanager
def native_lines_logged() -> Iterator[None]:
    """Log, at level DEBUG, what is printed to file descriptor 2 while the block runs.

    MediaPipe's logger has no switch that works: neither its flags nor the environment variables of glog, Abseil and
    TensorFlow silence it. Python's own `sys.stderr` is caught too, so blocks should be short.
    """
    global _terminal
    with _one_at_a_time, tempfile.TemporaryFile() as printed:
        sys.stderr.flush()
        _terminal = os.dup(_STDERR)
        os.dup2(printed.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            _restore_terminal()
            _log_lines(printed)


def _restore_terminal() -> None:
    global _terminal
    if _terminal is not None:
        os.dup2(_terminal, _STDERR)
        os.close(_terminal)
        _terminal = None


def _start_anew() -> None:
    """In the child of a fork, undo what another thread of the parent was about."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _restore_terminal()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_start_anew)


def _log_lines(printed: IO[bytes]) -> None:
    printed.seek(0)
    for line in printed.read().decode(errors="replace").splitlines():
        if line.strip():
            log.debug("%s", line)
