"""Finds the code blocks of Markdown pages and runs them as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PROGRAMS = {"bash": ("bash", "-e", "-c"), "python": (sys.executable, "-c")}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, the line of its start, and why it is not run ("" if it is run)."""

    language: str
    text: str
    line: int
    reason: str


def blocks(text: str, *languages: str) -> list[Block]:
    """Blocks of a page in these languages; a block below `<!-- not run: REASON -->` has that reason."""
    return [block for block in _all(text) if block.language in languages]


def _all(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Block(language=found["language"], text=found["text"], line=line, reason=found["reason"] or "")


def run_block(
    language: str, text: str, folder: Path, *, timeout: float = 600, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the text of a bash or Python block in a folder, with the commands and the code of this checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [*_PROGRAMS[language], text],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
