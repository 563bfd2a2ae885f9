"""The message of a stopped run depends on what it has written since its start."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from faceflow.training.fit import RunState


def state_of(folder: Path, **changes: Any) -> RunState:
    values: dict[str, Any] = {"resume": None, "fold": False, "first": True, "overwrite": False}
    return RunState(folder, **(values | changes))


def write(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


def test_without_an_epoch_nothing_is_kept(tmp_path: Path) -> None:
    assert state_of(tmp_path).kept() == "no epoch was finished, so nothing is kept; rerun the same command"
    resumed = state_of(tmp_path, resume="old.ckpt")
    assert resumed.kept() == "no further epoch was finished; rerun the same command with resume=old.ckpt"


def test_an_epoch_is_kept_from_its_checkpoint_on(tmp_path: Path) -> None:
    state, replacing = state_of(tmp_path), state_of(tmp_path, overwrite=True)
    last = tmp_path / "checkpoints" / "last.ckpt"
    write(last)
    assert state.kept().endswith(f"; to resume, rerun the same command with resume={last}")
    assert replacing.kept().endswith(f"rerun the same command with resume={last} and without overwrite=true")


def test_a_checkpoint_of_an_earlier_start_is_not_one_of_this_run(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "last.ckpt")
    assert "nothing is kept" in state_of(tmp_path).kept()


def test_a_trained_network_can_be_tested_alone_and_results_are_all(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    best = tmp_path / "checkpoints" / "best.ckpt"
    write(best)
    assert state.trained().endswith(f"or run only the test: faceflow-test checkpoint={best}")
    write(tmp_path / "metrics.json")
    assert state.trained() == state.kept() == f"all results are in {tmp_path}"


def test_a_fold_continues_in_the_folder_of_all_and_further_processes_say_nothing(tmp_path: Path) -> None:
    assert f"hydra.run.dir={tmp_path}" in state_of(tmp_path / "fold1", fold=True).trained()
    assert state_of(tmp_path, first=False).kept() == ""
