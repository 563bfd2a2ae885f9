"""One writer at a time: folders that several processes make at once, and claims that end with their process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.files import LOCK, claim, claimed, claimed_if_free, died_in, new_folder
from tests.helpers.claims import ROOT, claimed_elsewhere, contents, start_claim

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
MAKE = """
import sys
from pathlib import Path
from faceflow.files import new_folder
print("ready", flush=True)
input()
print(new_folder(Path(sys.argv[1])))
"""


def test_processes_that_make_a_folder_at_once_get_one_each(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path / "runs/now")]
    together = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    for process in together:
        assert process.stdout is not None
        process.stdout.readline()
    for process in together:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    made = [process.communicate()[0].strip() for process in together]
    assert sorted(made) == sorted(map(str, (tmp_path / "runs").iterdir()))
    assert {Path(path).name for path in made} == {"now", "now_2", "now_3", "now_4"}


def test_a_file_of_that_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "now").touch()
    assert new_folder(tmp_path / "now") == tmp_path / "now_2"


@posix
def test_a_path_claimed_by_another_process_is_refused_with_its_number_until_it_ends(tmp_path: Path) -> None:
    with claimed_elsewhere(tmp_path, folder=True) as other:
        expected = rf"^output: expected a place .* got '{tmp_path}', in use \(process {other.pid} on "
        with pytest.raises(ConfigError, match=expected):
            claim(tmp_path, key="output", folder=True)
        with claimed(tmp_path / "below", key="output", folder=True), claimed(tmp_path, key="output", folder=False):
            pass  # other places are free
    claim(tmp_path, key="output", folder=True).release()
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_claim_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    with start_claim(tmp_path, folder=True) as other:
        other.kill()
    assert (tmp_path / LOCK).exists()
    with claimed(tmp_path, key="output", folder=True):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text("utf-8")
    assert not (tmp_path / LOCK).exists()


@posix
def test_neither_a_second_claim_of_the_process_nor_the_end_of_its_child_frees_the_first(tmp_path: Path) -> None:
    with claimed(tmp_path, key="output", folder=True):
        with pytest.raises(ConfigError, match=r"in use \(by this process\)"):
            claim(tmp_path, key="output", folder=True)
        child = "from faceflow.files import claim; import sys, pathlib; claim(pathlib.Path(sys.argv[1]), key='output',"
        command = [sys.executable, "-c", f"{child} folder=True)", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert f"(process {os.getpid()} on " in done.stderr
        assert (tmp_path / LOCK).exists()


def test_folders_made_for_a_claim_go_with_it_unless_something_is_in_them(tmp_path: Path) -> None:
    with claimed(tmp_path / "a/b/model.onnx", key="output", folder=False):
        assert [path.name for path in (tmp_path / "a/b").iterdir()] == [f".model.onnx{LOCK}"]
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path / "a/b", key="output", folder=True):
        (tmp_path / "a/kept").touch()
    assert contents(tmp_path) == {"a/kept": b""}
    assert not (tmp_path / "a/b").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/run: expected a writable folder, got 'Not a directory'; "):
        claim(tmp_path / "file/run", key="output", folder=True)


@posix
def test_only_one_caller_learns_that_the_holder_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken_over: list[TextIO] = []
    monkeypatch.setattr("faceflow.files._taken_over", taken_over)
    run = tmp_path / "run"
    assert not died_in(run)
    with claimed_elsewhere(run, folder=True):
        assert not died_in(run)
        assert not died_in(run / "fold1")
    assert not died_in(run)  # it ended in order
    run.mkdir(exist_ok=True)
    (run / LOCK).write_text("process 1 on somewhere", "utf-8")
    assert died_in(run)
    ask = "import sys; from pathlib import Path; from faceflow.files import died_in; print(died_in(Path(sys.argv[1])))"
    again = subprocess.run([sys.executable, "-c", ask, str(run)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert again.stdout == "False\n"
    taken_over[0].close()


@posix
def test_a_claim_is_taken_if_it_is_free(tmp_path: Path) -> None:
    with claimed_elsewhere(tmp_path / "a", folder=True), claimed_if_free(tmp_path / "a") as free:
        assert not free
    with claimed_if_free(tmp_path / "b") as free:
        assert free
        assert (tmp_path / "b" / LOCK).exists()
    assert not (tmp_path / "b").exists()
