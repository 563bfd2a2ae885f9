"""Runs the installed commands as a user does, in a separate process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_command(name: str, *overrides: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the `faceflow-NAME` installed beside this interpreter, and expect success."""
    command = [str(Path(sys.executable).with_name(f"faceflow-{name}")), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return done


def start_command(
    name: str, *overrides: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start `faceflow-NAME` from this checkout in its own process group, which can be signalled as a whole."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from faceflow.cli.{name} import main; main()", *overrides],
        cwd=ROOT,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
