"""A terminal for tests: a text file in place of stderr that reports being a terminal."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest


class Terminal(io.StringIO):
    """Text that was shown, including control sequences."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """Make stderr a terminal of 120 columns inside the block."""
    with pytest.MonkeyPatch.context() as environment, contextlib.redirect_stderr(Terminal()) as screen:
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            environment.delenv(name, raising=False)
        environment.setenv("TERM", "xterm")
        environment.setenv("COLUMNS", "120")
        yield screen
