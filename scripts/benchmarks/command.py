"""Times a FaceFlow command as the user sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from faceflow.errors import DataError


def command_seconds(name: str, overrides: Sequence[str]) -> float:
    """Time of `faceflow-NAME` in a separate process, because its workers import the main module, here this script.

    Raises:
        DataError: the command fails.
    """
    command = [sys.executable, "-c", f"from faceflow.cli.{name} import main; main()", *overrides]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise DataError(f"faceflow-{name}: expected success, got: {done.stderr.strip()}")
    return seconds
