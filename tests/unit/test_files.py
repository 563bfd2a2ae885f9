"""Files are complete or absent, and leftovers of killed processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceflow.errors import DataError
from faceflow.files import remove_leftovers, whole_file


def write_a_half(path: Path) -> None:
    """Begin a file in a process that is killed before it ends."""
    code = f"""
import os, signal
from pathlib import Path
from faceflow.files import whole_file
with whole_file(Path({str(path)!r})) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == -signal.SIGKILL


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_only_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    others = {".hidden", ".coverage.host.1234", ".python-version", "a.12.tmp", ".lib.so.1", ".draft.tmp", ".x.tmp.12"}
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".folder.12.tmp").mkdir()
    write_a_half(tmp_path / "crops/a/000001.jpg")
    (tmp_path / "crops/a/.video.avi.4951.tmp.avi").touch()  # OpenCV writes a video under a name with its suffix
    before = below(tmp_path)
    assert len(before - others) == 5  # three folders and two partial files
    remove_leftovers(tmp_path, older_than_s=0)
    assert below(tmp_path) == others | {".folder.12.tmp", "crops", "crops/a"}


def test_recent_partial_files_are_kept(tmp_path: Path) -> None:
    old, young = tmp_path / ".a.csv.17.tmp", tmp_path / ".b.csv.18.tmp"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 700, time.time() - 700))
    remove_leftovers(tmp_path, older_than_s=600)
    assert below(tmp_path) == {young.name}


def test_a_whole_file_replaces_the_old_one_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new/a.txt"
    for text in ("one", "two"):
        with whole_file(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert below(tmp_path) == {"new", "new/a.txt"}


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(DataError, match=r"file/a.txt: expected a writable file, got '.*'; check disk and")
    with refused, whole_file(tmp_path / "file/a.txt"):
        pass
