from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import callbacks

from faceflow.errors import CheckpointError, ConfigError
from faceflow.training.early_stopping import EarlyStopping
from faceflow.training.resume import check_left
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import SaveAfter, fit, make_module

ENDLESS = {"max_epochs": None, "max_steps": -1}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Checkpoints of a run with three updates per epoch: after its second epoch, and two updates into that epoch."""
    folder = tmp_path_factory.mktemp("saved")
    module = make_module(spec=network_spec("test_efficientnet", image_size=32))
    labels = {"target": torch.ones(2, 2, 1), "mask": torch.ones(2, 2, dtype=torch.bool)}
    batches = [{"labeled": {"labeled": random_images(2, 32, seed), **labels}} for seed in range(3)]
    saves = [SaveAfter(1, folder / "after.ckpt"), SaveAfter(1, folder / "within.ckpt", batches=2)]
    fit(module, batches, max_epochs=2, callbacks=saves)
    return {path.stem: torch.load(path, weights_only=True) for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "trainer"),
    [
        ("after", {"max_epochs": 2}),
        ("after", {"max_epochs": -1, "max_steps": 6}),
        ("within", {"max_epochs": 1, "max_steps": 5}),
        ("after", {}),
    ],
)
def test_a_run_that_is_already_long_enough_is_accepted(
    name: str, trainer: dict[str, Any], saved: dict[str, dict[str, Any]]
) -> None:
    check_left(saved[name], ENDLESS | trainer, path="last.ckpt")


@pytest.mark.parametrize(
    ("name", "trainer", "message"),
    [
        ("after", {"max_epochs": 1}, "max_epochs: expected at least the 2 that the run of 'last.ckpt' has done, got 1"),
        ("after", {"max_steps": 5}, "max_steps: expected at least the 6 that the run of 'last.ckpt' has done, got 5"),
        ("within", {"max_epochs": 0}, "max_epochs: expected at least the 1 that"),
        ("within", {"max_steps": 4}, "max_steps: expected at least the 5 that"),
    ],
)
def test_less_than_what_is_done_is_refused(
    name: str, trainer: dict[str, Any], message: str, saved: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_left(saved[name], ENDLESS | trainer, path="last.ckpt")
    assert str(caught.value).startswith(f"trainer.{message}")


@pytest.mark.parametrize("part", ["loops", "optimizer_states", "lr_schedulers", "callbacks"])
def test_checkpoint_of_weights_alone_names_init_weights(part: str, saved: dict[str, dict[str, Any]]) -> None:
    rest = {key: value for key, value in saved["after"].items() if key != part}
    with pytest.raises(CheckpointError, match=rf"^resume: .* without its '{part}'; .* init_weights=PATH$"):
        check_left(rest, ENDLESS, path="last.ckpt")


@pytest.mark.parametrize("loops", [None, {}, {"fit_loop": []}, {"fit_loop": {"epoch_progress": {"current": 3}}}])
def test_damaged_counters_are_refused(loops: Any, saved: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(CheckpointError, match=r"^last\.ckpt: expected the counters of a run, got none; .* damaged$"):
        check_left(saved["after"] | {"loops": loops}, ENDLESS, path="last.ckpt")


def test_patience_is_that_of_the_config_and_the_count_continues() -> None:
    first = callbacks.EarlyStopping(monitor="val/f1_val", mode="max", patience=3)  # as it was before
    resumed = EarlyStopping(monitor="val/f1_val", mode="max", patience=20)
    first.wait_count = 2
    assert resumed.state_key == first.state_key
    resumed.load_state_dict(first.state_dict())
    assert (resumed.patience, resumed.wait_count) == (20, 2)
