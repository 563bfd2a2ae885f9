"""faceflow-render, killed or terminated repeatedly, ends with the same bytes as an uninterrupted run.

FACEFLOW_KILLS and FACEFLOW_KILLS_SEED as in `tests.helpers.kills`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers.face_models import write_face_model
from tests.helpers.kills import TERMINATED, Kills, release_only

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

FEW = ("domains=[studio,webcam]", "subjects=6", "image.size=32", "sheet=2")
VIDEOS = ("video=disfa", "video.width=64", "video.height=64")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("what", "workers"),
    [
        pytest.param(("frames=20",), 2, id="images", marks=pytest.mark.release),
        pytest.param(("frames=12", *VIDEOS), 1, id="videos", marks=release_only),
    ],
)
def test_ended_again_and_again_it_ends_as_if_undisturbed(tmp_path: Path, what: tuple[str, ...], workers: int) -> None:
    model = write_face_model(tmp_path / "facekit.npz")
    settings = (f"facekit={model}", *FEW, *what, f"workers={workers}")
    kills = Kills("render", f"render {what[-1]} {workers}")
    kills.finish(f"output={tmp_path / 'first/faces'}", *settings)
    kills.seconds = 0  # of a start that compiled
    kills.finish(f"output={tmp_path / 'whole/faces'}", *settings)
    ended = tmp_path / "ended/faces"
    for number in kills.signals:
        end = kills.end(number, f"output={ended}", *settings)
        if end.finished:
            assert tree(ended) == tree(tmp_path / "whole/faces")
            shutil.rmtree(ended)
        if end.code == TERMINATED:
            assert "rerun the same command" in end.line
    kills.finish(f"output={ended}", *settings)
    kills.told()
    assert tree(ended) == tree(tmp_path / "whole/faces")
