"""Claims that another process holds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_HOLD = """
import sys
from pathlib import Path
from faceflow.files import claim
held = claim(Path(sys.argv[1]), key="output", folder=sys.argv[2] == "folder")
print("held", flush=True)
input()
held.release()
"""


def start_claim(path: Path, *, folder: bool) -> subprocess.Popen[str]:
    """Start a process that claims a path; it exits, and releases the claim, at the next line on its stdin."""
    command = [sys.executable, "-c", _HOLD, str(path), "folder" if folder else "file"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@contextlib.contextmanager
def claimed_elsewhere(path: Path, *, folder: bool) -> Iterator[subprocess.Popen[str]]:
    """Let another process claim a path while the block runs."""
    with start_claim(path, folder=folder) as process:
        try:
            yield process
        finally:
            process.communicate("\n")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, including hidden ones."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
