"""The unchanged commands of docs/tutorials, page by page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.pages import ROOT, blocks, run_block

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="commands of a POSIX shell")]

_FOLDER = ROOT / "docs/tutorials"
_IN_A_CLONE = ("scripts", "tests", "docs")  # what a reader has beside the results
_SAMPLE = "sweep"  # of CI; scripts/release_check runs all
_NO_DETECTOR = "expected to download face_landmarker.task"  # no net, and no FACEFLOW_MODELS
PAGES = {
    page.stem: found for page in _FOLDER.glob("*.md") if (found := blocks(page.read_text("utf-8"), "bash", "python"))
}


@pytest.mark.parametrize(
    "name", [name if name == _SAMPLE else pytest.param(name, marks=pytest.mark.release) for name in sorted(PAGES)]
)
def test_the_blocks_of_a_tutorial_run_in_their_order(name: str, tmp_path: Path) -> None:
    for link in _IN_A_CLONE:
        (tmp_path / link).symlink_to(ROOT / link)
    for block in PAGES[name]:
        if block.reason:
            continue
        done = run_block(block.language, block.text, tmp_path, timeout=1800)
        if _NO_DETECTOR in done.stderr:
            pytest.skip("the model file of the face detector is not to be had here")
        assert done.returncode == 0, f"{name}.md:{block.line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{name}.md:{block.line}\n{done.stderr}"
