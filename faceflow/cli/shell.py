"""What a command inherits from the shell: output streams, working directory, limit on open files."""

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
    """Keep printing from ending a command if stdout is closed or cannot encode a character of a path."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  (until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def check_working_directory() -> None:
    """Raise ConfigError if the shell's working directory was removed."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "working directory: expected an existing folder, got one that was removed; change to another one with cd"
        ) from error


def no_more_files(error: BaseException) -> str | None:
    """One line saying that more files are open than this shell allows; None if the error has another cause."""
    if sys.platform == "win32" or not isinstance(error, OSError) or error.errno not in _NO_MORE_FILES:
        return None
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = f"run: ulimit -n {highest}, or use" if highest > limit else "use"
    return f"open files: expected at most {limit}, the limit of this shell, got more; {more} fewer workers"
