"""SIGTERM at every stage of a command, and dying loader processes: exit codes, and one line on what is kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from albumentations import ImageOnlyTransform

from tests.integration.command import SMALL, Faces, Outcome, run, train

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


class TerminateIn(L.Callback):
    """Sends SIGTERM to this process from a hook of an epoch."""

    def __init__(self, hook: str, epoch: int) -> None:
        def send(trainer: L.Trainer, *_: object, **__: object) -> None:
            if trainer.current_epoch == epoch:
                signal.raise_signal(signal.SIGTERM)

        setattr(self, hook, send)


class TerminateAt(ImageOnlyTransform):  # type: ignore[misc]
    """Sends SIGTERM when it sees an image for the n-th time."""

    def __init__(self, *, call: int) -> None:
        super().__init__(p=1.0)
        self.call, self.calls = call, 0

    def apply(self, image: Any, **_: Any) -> Any:
        self.calls += 1
        if self.calls == self.call:
            signal.raise_signal(signal.SIGTERM)
        return image


def in_hook(hook: str, epoch: int) -> tuple[str, ...]:
    name = f"{__name__}.TerminateIn"
    return (f"+callbacks.stop._target_={name}", f"+callbacks.stop.hook={hook}", f"+callbacks.stop.epoch={epoch}")


def at_image(call: int) -> tuple[str, ...]:
    return (f"+transforms.eval.stop._target_={__name__}.TerminateAt", f"+transforms.eval.stop.call={call}")


@pytest.mark.parametrize(
    ("hook", "epoch", "kept"),
    [
        ("on_train_batch_start", 0, "no epoch was finished, so nothing is kept; rerun the same command"),
        ("on_validation_batch_end", 1, None),
        ("on_train_epoch_start", 2, None),
    ],
)
def test_terminated_in_training_it_names_the_checkpoint_to_continue_from(
    hook: str, epoch: int, kept: str | None, faces: Faces, tmp_path: Path
) -> None:
    settings = (*SMALL, *faces.overrides, "trainer.max_epochs=3", *in_hook(hook, epoch))
    outcome = run("train", tmp_path, *settings)
    go_on = "finished epochs are kept and the current one is lost; to resume, rerun the same command with"
    expected = kept or f"{go_on} resume={outcome.checkpoint('last')}"
    assert (outcome.code, outcome.stderr) == (143, f"Terminated: {expected}\n")
    assert not (tmp_path / "metrics.json").exists()
    if epoch:
        assert torch.load(outcome.checkpoint("last"), weights_only=True)["epoch"] == epoch - 1


def test_terminated_in_the_final_test_it_continues_there(faces: Faces, tmp_path: Path) -> None:
    settings = (*faces.overrides, "split.val=0.2", "split.test=0.5")  # 12, 8 and 20 images
    outcome = run("train", tmp_path, *SMALL, *settings, *at_image(13))
    last = outcome.checkpoint("last")
    assert outcome.code == 143
    assert outcome.stderr.splitlines()[-1] == (
        "Terminated: the network is trained, but its test is not finished; to resume, rerun the same command with "
        f"resume={last}, or run only the test: faceflow-test checkpoint={outcome.checkpoint()}"
    )
    leftover = tmp_path / "checkpoints/.last.ckpt.7.tmp"
    leftover.touch()
    (tmp_path / "metrics.csv").unlink()
    again, whole = train(tmp_path, *settings, f"resume={last}"), train(tmp_path / "whole", *settings)
    assert again.metrics()["test"] == whole.metrics()["test"]
    assert (tmp_path / "metrics.csv").read_bytes() == (tmp_path / "whole/metrics.csv").read_bytes()
    assert not leftover.exists()


def test_a_terminated_test_leaves_no_metrics_and_runs_again(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    small = ("accelerator=cpu", "loader.workers=0", "pictures=false")
    settings = (*small, f"checkpoint={trained.checkpoint()}", *faces.overrides)
    outcome = run("test", tmp_path, *settings, *at_image(1))
    assert outcome.code == 143
    assert outcome.stderr.splitlines()[-1] == (
        "Terminated: the test is not finished, and none of its results are kept; rerun the same command"
    )
    assert not (tmp_path / "metrics.json").exists()


def test_a_terminated_sweep_names_the_command_that_runs_the_rest(faces: Faces, tmp_path: Path) -> None:
    many = ("-m", f"hydra.sweep.dir={tmp_path / 'sweep'}", "seed=0,1,2", *SMALL, *faces.overrides)
    outcome = run("train", tmp_path, *many, "trainer.max_epochs=2", *in_hook("on_train_batch_start", 1))
    assert outcome.code == 143
    assert outcome.stderr == (
        f"Terminated: 0 of 3 jobs finished; to resume, run: faceflow-train resume_sweep={tmp_path / 'sweep'}\n"
    )
    (record,) = (tmp_path / "sweep").glob("*/job.json")
    assert json.loads(record.read_text("utf-8"))["status"] == "interrupted"
    assert pd.read_csv(tmp_path / "sweep/sweep.csv")["status"].tolist() == ["interrupted"]


class KillALoader(L.Callback):
    """Kills a loader process in the second epoch, as a system short of memory does."""

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.current_epoch == 1:
            for process in multiprocessing.active_children():
                process.kill()


def test_a_killed_loader_process_is_one_line_that_names_the_checkpoint(faces: Faces, tmp_path: Path) -> None:
    settings = (*SMALL, *faces.overrides, "trainer.max_epochs=3", "loader.workers=1", "test=false")
    outcome = run("train", tmp_path, *settings, f"+callbacks.stop._target_={__name__}.KillALoader")
    assert outcome.code == 2
    assert outcome.error.startswith(
        "LoaderError: loader.workers: expected 1 loader processes to keep running, got one that"
    )
    assert "most likely it ran out of memory" in outcome.error
    assert outcome.error.endswith(f"resume={outcome.checkpoint('last')}")
    assert torch.load(outcome.checkpoint("last"), weights_only=True)["epoch"] == 0


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs Linux's shared memory")
@pytest.mark.parametrize("command", ["train", "test"])
def test_batches_that_do_not_fit_into_shared_memory_are_refused_before_the_first(
    command: str, trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    own = SMALL if command == "train" else ("accelerator=cpu", f"checkpoint={trained.checkpoint()}")
    outcome = run(command, tmp_path, *own, *faces.overrides, "loader.workers=1", "loader.batch_size=1000000000")
    assert outcome.code == 2
    assert outcome.error.startswith("ConfigError: loader.workers: expected ")
    assert "--shm-size=" in outcome.error
    assert not (tmp_path / "checkpoints").exists()
