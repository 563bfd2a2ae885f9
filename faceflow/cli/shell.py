"""What a shell hands over to a command: where it prints, where it works, how many files it may open."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

from faceflow.errors import ConfigError

if sys.platform != "win32":
    import resource

_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)


def prepare_streams() -> None:
    """Let printing never end a command: not where stdout is closed, nor where its encoding lacks a letter of a path."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  (until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def check_working_directory() -> None:
    """Raise ConfigError where the folder that the shell stands in was removed."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "working directory: expected a folder that exists, got one that was removed; go to another one with cd"
        ) from error


def no_more_files(error: BaseException) -> str | None:
    """Say in one line that more files are open than this shell allows; None where an error is about another thing."""
    if sys.platform == "win32" or not isinstance(error, OSError) or error.errno not in _NO_MORE_FILES:
        return None
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = f"run: ulimit -n {highest}, or take" if highest > limit else "take"
    return f"open files: expected at most {limit}, the limit of this shell, got more; {more} fewer workers"
