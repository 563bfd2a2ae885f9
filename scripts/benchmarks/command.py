"""A command of ours, timed as its user sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from faceflow.errors import DataError


def command_seconds(name: str, overrides: Sequence[str]) -> float:
    """What `faceflow-NAME` takes in a process of its own: workers start by importing the main module, here this script.

    Raises:
        DataError: it fails.
    """
    command = [sys.executable, "-c", f"from faceflow.cli.{name} import main; main()", *overrides]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise DataError(f"faceflow-{name}: expected it to succeed, got: {done.stderr.strip()}")
    return seconds
