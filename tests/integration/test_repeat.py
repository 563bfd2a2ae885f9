"""Runs repeat bit for bit, and resume after an interruption with the same result."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
import yaml

from tests.integration.command import SMALL, Faces, Outcome, run, train


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def assert_equal(first: Any, second: Any, key: str = "") -> None:
    """Compare nested containers of tensors bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), key
        for name in first:
            assert_equal(first[name], second[name], f"{key}.{name}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), key
        for number, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_equal(a, b, f"{key}.{number}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), key
    else:
        assert first == second, key


@pytest.mark.slow
def test_the_stored_config_repeats_the_run_bit_for_bit_and_another_seed_does_not(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    again = run("train", tmp_path / "again", "--config-dir", str(trained.folder), "--config-name", "config")
    assert again.code == 0, again.stderr
    for name in ("best", "last"):
        assert_equal(load(again.checkpoint(name))["state_dict"], load(trained.checkpoint(name))["state_dict"])
    assert again.metrics()["test"] == trained.metrics()["test"]
    assert (again.folder / "metrics.csv").read_text() == (trained.folder / "metrics.csv").read_text()
    other = train(tmp_path / "other", *faces.overrides, "trainer.max_epochs=2", "seed=1", "test=false")
    assert (other.table("metrics.csv")["train/loss"] != trained.table("metrics.csv")["train/loss"]).all()


@pytest.mark.slow
def test_a_stored_config_of_before_the_labelled_view_repeats_its_run(trained: Outcome, tmp_path: Path) -> None:
    config = yaml.safe_load((trained.folder / "config.yaml").read_text("utf-8"))
    assert config["transforms"].pop("labeled") == config["transforms"]["weak"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "test": False}, sort_keys=False), "utf-8")
    again = run("train", tmp_path / "again", "--config-dir", str(tmp_path), "--config-name", "config")
    assert again.code == 0, again.stderr
    assert (again.folder / "metrics.csv").read_text() == (trained.folder / "metrics.csv").read_text()


class InterruptIn(L.Callback):
    """Stops a run in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("workers", "sources"), [(0, ["last"]), pytest.param(2, ["last", "best"], marks=pytest.mark.release)]
)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    workers: int, sources: list[str], faces: Faces, tmp_path: Path
) -> None:
    settings = (
        *faces.overrides,
        *("trainer.max_epochs=3", "model.dropout=0.5", "optimizer.lr=0.01", "test=false"),
        *("average=ema", "average.decay=0.9"),
        f"loader.workers={workers}",
    )
    whole = train(tmp_path / "whole", *settings)
    interrupt = (f"+callbacks.stop._target_={__name__}.InterruptIn", "+callbacks.stop.epoch=2")
    broken = run("train", tmp_path / "broken", *SMALL, *settings, *interrupt)
    kept = "finished epochs are kept and the current one is lost; to resume, rerun the same command with"
    assert (broken.code, broken.stderr) == (130, f"Interrupted: {kept} resume={broken.checkpoint('last')}\n")
    assert any(key.startswith("average.network.") for key in load(broken.checkpoint("last"))["state_dict"])
    for source in sources:
        resumed = train(tmp_path / source, *settings, f"resume={broken.checkpoint(source)}")
        for name in ("best", "last"):
            ours, theirs = load(resumed.checkpoint(name)), load(whole.checkpoint(name))
            for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
                assert_equal(ours[part], theirs[part], part)
            assert ours["faceflow"]["thresholds"] == theirs["faceflow"]["thresholds"]
        assert resumed.stdout.splitlines()[-2] == whole.stdout.splitlines()[-2]  # "Best val/f1_val: ..."
        unbroken, history = whole.table("metrics.csv"), resumed.table("metrics.csv")
        pd.testing.assert_frame_equal(history[-1:], unbroken[-1:], check_exact=True)
        assert history["epoch"].tolist() == [0, 1, 2]


def test_a_finished_run_that_is_resumed_keeps_its_best_checkpoint(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    again = train(tmp_path, *faces.overrides, "trainer.max_epochs=2", f"resume={trained.checkpoint('last')}")
    assert again.checkpoint().read_bytes() == trained.checkpoint().read_bytes()
    assert again.metrics()["test"] == trained.metrics()["test"]


def test_a_finished_run_continues_for_more_epochs_at_the_rates_of_their_number(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    more = train(tmp_path, *faces.overrides, "trainer.max_epochs=4", f"resume={trained.checkpoint('last')}")
    cosine = [1e-3 * (1 + math.cos(math.pi * update / 8)) / 2 for update in range(4, 8)]  # two updates per epoch
    expected = [sum(cosine[:2]) / 2, sum(cosine[2:]) / 2]
    assert more.table("metrics.csv")["train/lr"].tolist()[2:] == pytest.approx(expected)
    assert "schedules continue" not in more.stderr


@pytest.mark.slow
def test_time_alone_can_end_a_run_and_batches_of_another_size_can_continue_it(faces: Faces, tmp_path: Path) -> None:
    endless = (*faces.overrides, "trainer.max_epochs=-1", "scheduler=constant", "test=false")
    timed = train(tmp_path / "timed", *endless, "+trainer.max_time={seconds: 2}")
    assert timed.table("metrics.csv")["train/lr"].unique() == pytest.approx([1e-3])
    steps = timed.table("metrics.csv")["step"].max()
    settings = (*faces.overrides, "scheduler=constant", f"trainer.max_steps={steps + 5}", "trainer.max_epochs=-1")
    resumed = train(tmp_path / "more", *settings, "loader.batch_size=4", f"resume={timed.checkpoint('last')}")
    assert f"(loader.batch_size=4, was 8); schedules continue at update {steps} of {steps + 5}" in resumed.stderr
    assert resumed.table("metrics.csv")["step"].max() == steps + 5
