"""Commands that start at the same time, and one that was killed: none writes into the results of another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from faceflow.files import LOCK
from tests.helpers.claims import contents
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals and locks of POSIX")]

TRAIN = str(Path(sys.executable).with_name("faceflow-train"))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = write_csv_dataset(tmp_path_factory.mktemp("data") / "faces", aus=AUS, subjects=10, frames=4)
    return ("data=csv", f"data.labels={folder / 'labels.csv'}", f"data.images={folder / 'images'}")


def start(*overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TRAIN, *SMALL, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, errors, strict=True)]


@pytest.mark.release
def test_commands_of_one_moment_have_a_folder_each(faces: tuple[str, ...], tmp_path: Path) -> None:
    moment = f"hydra.run.dir={tmp_path}/${{now:%Y}}"
    outcomes = ended([start(*faces, moment, f"seed={seed}") for seed in range(3)])
    assert [code for code, _ in outcomes] == [0, 0, 0], outcomes
    records = [json.loads((folder / "metrics.json").read_text("utf-8")) for folder in tmp_path.iterdir()]
    assert sorted(record["run"]["seed"] for record in records) == [0, 1, 2]


def test_one_of_two_commands_with_the_same_folder_is_refused(faces: tuple[str, ...], tmp_path: Path) -> None:
    outcomes = ended([start(*faces, f"hydra.run.dir={tmp_path}", f"seed={seed}") for seed in range(2)])
    assert sorted(code for code, _ in outcomes) == [0, 2], outcomes
    first = [code for code, _ in outcomes].index(0)
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8"))["run"]["seed"] == first
    assert "hydra.run.dir: expected " in outcomes[1 - first][1]


def test_a_killed_run_is_not_started_again_by_mistake_and_continues(faces: tuple[str, ...], tmp_path: Path) -> None:
    command = (*faces, f"hydra.run.dir={tmp_path}", "loader.workers=1")
    last = tmp_path / "checkpoints/last.ckpt"
    with start(*command, "trainer.max_epochs=100000") as killed:
        deadline = time.monotonic() + 120
        while not last.is_file():
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(killed.pid, signal.SIGKILL)
    before = contents(tmp_path)
    del before[LOCK]  # of the killed process, which holds it no more
    ((code, error),) = ended([start(*command)])
    assert (code, contents(tmp_path)) == (2, before)
    assert f"; resume it with resume={last}, " in error
    epochs = len((tmp_path / "metrics.csv").read_text("utf-8").splitlines())
    ((code, error),) = ended([start(*command, f"resume={last}", f"trainer.max_epochs={epochs}")])
    assert (code, error) == (0, "")
    assert (tmp_path / "metrics.json").is_file()
