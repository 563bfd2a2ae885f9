"""Unusual inputs, many from public issue threads: the right result or one line, never a traceback.

`docs/reference/odd_inputs.md` lists them; after changing the rows, run this file with FACEFLOW_WRITE_ODD_INPUTS=1.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.odd_inputs import (
    machines,
    models,
    names,
    people,
    settings,
    tables,
    videos,
)
from tests.helpers.odd_inputs.row import Row, page
from tests.integration.command import Outcome, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/odd_inputs.md"
ROWS = {
    "Models and weights": models.ROWS,
    "Command lines and configs": settings.ROWS,
    "Images, videos, labels": people.ROWS,
    "Machines and shells": machines.ROWS,
    "Videos from various devices": videos.ROWS,
    "File names and formats": names.ROWS,
    "Label tables from other tools": tables.ROWS,
}


@pytest.mark.slow  # all of them together: each is a fraction of a second
@pytest.mark.parametrize("row", [pytest.param(row, id=row.fed) for group in ROWS.values() for row in group])
def test_an_odd_input_gives_the_right_result_or_one_line(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row.prepare(tmp_path)
    for name, value in row.environment.items():
        monkeypatch.setenv(name, value)
    overrides = [override.replace("{folder}", str(tmp_path)) for override in row.overrides]
    outcome = _in_shell(row, tmp_path) if row.shell else run(row.command, tmp_path / "run", *overrides)
    assert "Traceback" not in outcome.stderr + outcome.stdout, outcome.stderr
    if row.line:
        assert outcome.code == 2, outcome.stderr
        lines = [line for line in outcome.stderr.splitlines() if "Error: " in line]
        assert len(lines) == 1, outcome.stderr
        line = lines[0].removeprefix("ERROR ")
        assert re.fullmatch(row.pattern(tmp_path), line), line
    else:
        assert outcome.code == row.code, outcome.stderr
        assert row.check is not None
        row.check(outcome, tmp_path)


def test_the_page_shows_the_rows() -> None:
    found = page(ROWS)
    if os.environ.get("FACEFLOW_WRITE_ODD_INPUTS"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text("utf-8") == found


def _in_shell(row: Row, folder: Path) -> Outcome:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", row.shell.replace("{folder}", str(folder))],
        cwd=ROOT,
        env={**os.environ, "PATH": beside, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, folder / "run")
