"""Runs the installed commands as a user does, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_command(name: str, *overrides: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run `faceflow-NAME` beside this interpreter and expect it to succeed."""
    command = [str(Path(sys.executable).with_name(f"faceflow-{name}")), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return done
