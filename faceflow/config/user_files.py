"""Config files by the user that are not valid YAML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from yaml import MarkedYAMLError

from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError


@contextlib.contextmanager
def config_files_named(folders: Sequence[Path]) -> Iterator[None]:
    """Name the file and line if the block finds a config file that cannot be read.

    Args:
        folders: of the user's own configs.

    Raises:
        ConfigError: a file is not YAML or not UTF-8.
    """
    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark
        if mark is None or not Path(mark.name).is_file():
            raise
        raise ConfigError(f"{mark.name}:{mark.line + 1}: {_fault(error, Path(mark.name), mark.line)}") from error
    except UnicodeDecodeError as error:
        for folder in (*folders, Path(config_dir())):
            for path in sorted(folder.rglob("*.yaml")):
                line = _undecodable(path.read_bytes())
                if line:
                    raise ConfigError(
                        f"{path}:{line}: expected UTF-8, got bytes of another encoding; save the file as UTF-8"
                    ) from error
        raise


def _fault(error: MarkedYAMLError, path: Path, line: int) -> str:
    lines = path.read_text("utf-8", errors="replace").splitlines()
    if line < len(lines) and lines[line].lstrip(" ").startswith("\t"):
        return "expected spaces as indentation, got a tab; indent with spaces"
    if error.problem and "duplicate key" in error.problem:
        key = error.problem.split()[-1]
        return f"expected each key once, got '{key}' again; remove one of them"
    return f"expected YAML, got text that cannot be read ({error.problem}); fix this line or one before it"


def _undecodable(content: bytes) -> int:
    """Number of the first line that is not UTF-8; 0 if there is none."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 0
