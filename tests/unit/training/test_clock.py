"""Schedules of resumed runs, update by update, against uninterrupted runs of the new length."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import timm.scheduler
import torch
from torch import Tensor, nn

from faceflow.errors import CheckpointError, ConfigError
from faceflow.methods.objective import Batch, Objective, Outputs
from faceflow.models.checkpoint import Payload
from faceflow.training.averages import SWA
from faceflow.training.linear_probe import LinearProbe
from faceflow.training.module import AUModule
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import SaveAfter, fit, make_module

COSINE = partial(timm.scheduler.CosineLRScheduler, lr_min=1e-4, warmup_lr_init=0.0)
POLY = partial(timm.scheduler.PolyLRScheduler, power=2.0, lr_min=0.0, warmup_lr_init=1e-3)
VALIDATION = [{"eval": random_images(2, 32), "index": torch.tensor([0, 1])}]
SHORT = timedelta(seconds=0.1)
LOADER = {"batch_size": 16, "mu": 3, "steps_per_epoch": None}


class Scaled(Objective):
    """Has a parameter with a rate of its own, and notes what it is told of the run."""

    views = frozenset({"labeled"})
    lr_mult = 10.0

    def __init__(self, *, paced: str | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.paced, self.told = paced, list[float]()

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        self.told.append(self.progress)
        return {"squares": (self.scale * outputs["labeled"].logits - 1).square().mean()}


class Run:
    """A run and what it did: rates of all parameter groups by update, shares of the run by batch."""

    def __init__(self, *, scheduler: Any = COSINE, batch_size: int = 16, **settings: Any) -> None:
        self.objective = Scaled()
        spec = network_spec("test_efficientnet", image_size=32)
        config = {"loader": LOADER | {"batch_size": batch_size}, "trainer": {"accumulate_grad_batches": 1}}
        self.module: AUModule = make_module(
            spec=spec,
            objectives={"scaled": self.objective},
            scheduler=scheduler,
            payload=Payload(spec=spec, protocol={}, seen=[], config=config, versions={}),
            **({"warmup": 0.2, "layer_decay": 0.5, "head_lr_mult": 4.0} | settings),
        )
        self.rates: list[list[float]] = []

    def train(self, batches: int, **settings: Any) -> Run:
        self.trainer = fit(self.module, faces(batches), before_step=self._note, **settings)
        return self

    def _note(self, optimizer: torch.optim.Optimizer) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def faces(batches: int) -> list[dict[str, Any]]:
    return [{"labeled": {"labeled": random_images(2, 32, seed)}} for seed in range(batches)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Checkpoints of a run of three epochs with four batches each, after the first epoch or within it."""
    folder, made = tmp_path_factory.mktemp("saved"), dict[str, Path]()

    def save(scheduler: Any = COSINE, accumulate: int = 1, batches: int | None = None) -> Path:
        name = f"{getattr(scheduler, 'func', None)}-{accumulate}-{batches}"
        if name not in made:
            made[name] = folder / f"{len(made)}.ckpt"
            settings: dict[str, Any] = {"max_epochs": 3, "accumulate_grad_batches": accumulate}
            Run(scheduler=scheduler).train(4, callbacks=[SaveAfter(0, made[name], batches=batches)], **settings)
        return made[name]

    return save


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("faceflow")]


@pytest.mark.parametrize("epochs", [2, 4])
@pytest.mark.parametrize(("scheduler", "accumulate"), [(COSINE, 1), (COSINE, 2), (POLY, 1), (None, 1)])
def test_rates_of_a_run_resumed_for_other_epochs_are_those_of_an_unbroken_one(
    scheduler: Any, accumulate: int, epochs: int, saved: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {"max_epochs": epochs, "accumulate_grad_batches": accumulate}
    unbroken = Run(scheduler=scheduler).train(4, **settings)
    resumed = Run(scheduler=scheduler).train(4, **settings, resume=saved(scheduler, accumulate))
    done = 4 // accumulate
    assert len(resumed.rates) == (epochs - 1) * done
    assert resumed.rates == unbroken.rates[done:]
    assert resumed.objective.told == unbroken.objective.told[4:]
    assert scheduler is None or resumed.rates[0] != resumed.rates[-1]
    assert said(caplog) == []


def test_rates_of_a_run_resumed_within_an_epoch_are_those_of_an_unbroken_one(
    saved: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    unbroken = Run().train(4, max_epochs=4)
    resumed = Run().train(4, max_epochs=4, resume=saved(batches=3))
    assert resumed.rates == unbroken.rates[3:]
    (message,) = said(caplog)
    assert message.startswith("resume: the checkpoint was written during epoch 0; the rest of this epoch repeats its ")


@pytest.mark.parametrize("max_steps", [6, 14])
def test_rates_of_a_run_resumed_for_other_steps_are_those_of_an_unbroken_one(
    max_steps: int, saved: Callable[..., Path]
) -> None:
    unbroken = Run().train(4, max_epochs=-1, max_steps=max_steps)
    resumed = Run().train(4, max_epochs=-1, max_steps=max_steps, resume=saved())
    assert len(unbroken.rates) == max_steps
    assert resumed.rates == unbroken.rates[4:]


@pytest.mark.parametrize("batches", [2, 8])
def test_epochs_of_another_length_continue_at_the_same_share_of_the_run(
    batches: int, saved: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    unbroken = Run().train(batches, max_epochs=3)
    resumed = Run(batch_size=64 // batches).train(batches, max_epochs=3, resume=saved())
    assert resumed.rates == unbroken.rates[batches:]
    assert resumed.objective.told == unbroken.objective.told[batches:]
    assert said(caplog) == [
        f"resume: epochs of that run had 4 updates, those of this run have {batches} (loader.batch_size="
        f"{64 // batches}, was 16); schedules continue at epoch 1 of 3"
    ]


def test_a_run_resumed_twice_needs_no_memory_of_the_first_length(saved: Callable[..., Path], tmp_path: Path) -> None:
    second = tmp_path / "second.ckpt"
    Run().train(2, max_epochs=3, resume=saved(), callbacks=[SaveAfter(1, second)])
    third = Run().train(8, max_epochs=3, resume=second)
    assert third.rates == Run().train(8, max_epochs=3).rates[2 * 8 :]


def test_a_run_that_ends_by_steps_counts_steps_whatever_its_epochs(
    saved: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    resumed = Run().train(3, max_epochs=-1, max_steps=9, resume=saved())
    assert resumed.rates == Run().train(4, max_epochs=-1, max_steps=9).rates[4:]
    (message,) = said(caplog)
    assert message.endswith("schedules continue at update 4 of 9")


def test_an_epoch_that_the_last_step_cut_off_moves_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    Run().train(4, max_epochs=-1, max_steps=6, callbacks=[SaveAfter(1, path)])  # two steps within the second epoch
    resumed = Run().train(4, max_epochs=-1, max_steps=9, resume=path)
    assert resumed.rates == Run().train(4, max_epochs=-1, max_steps=9).rates[6:]


class SaveWithValidation(L.Callback):
    """Writes a checkpoint as best.ckpt is written: after all batches of the first epoch, before it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        Run(batch_size=8).train(8, max_epochs=3, resume=path, validation=VALIDATION)
    return str(caught.value)


def test_epochs_of_another_length_are_refused_before_the_end_of_an_epoch(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    best = tmp_path / "best.ckpt"
    Run().train(4, max_epochs=3, validation=VALIDATION, callbacks=[SaveWithValidation(best)])
    assert refusal(saved(batches=2)) == refusal(best)
    assert refusal(best) == (
        "resume: expected a checkpoint from the end of an epoch, as the length of epochs changes (loader.batch_size=8, "
        "was 16), got one from before the end of epoch 0; resume from last.ckpt, or repeat the settings of that run"
    )
    more = Run().train(4, max_epochs=4, resume=best, validation=VALIDATION)
    assert more.rates == Run().train(4, max_epochs=4).rates[4:]


# Half of 8 updates are 4, of 16 eight; 4 are done.
@pytest.mark.parametrize(("epochs", "probed"), [(2, []), (4, [True] * 4)])
def test_linear_probe_of_a_resumed_run_follows_the_new_length(
    epochs: int, probed: list[bool], saved: Callable[..., Path]
) -> None:
    probing: list[bool] = []
    probe = LinearProbe(share=0.5)
    settings: dict[str, Any] = {"callbacks": [probe], "after_batch": lambda: probing.append(probe.probing)}
    Run().train(4, max_epochs=epochs, resume=saved(), **settings)
    assert probing == probed + [False] * (4 * (epochs - 1) - len(probed))


# The first epoch puts updates 2 to 4 into the average, which starts at a quarter of 8. A quarter of 12 is 3, so that
# the other 8 join them; a quarter of 24 is 6: the average starts anew, with updates 6 to 24.
@pytest.mark.parametrize(("epochs", "count"), [(3, 3 + 8), (6, 19)])
def test_average_of_a_resumed_run_starts_by_the_new_length(epochs: int, count: int, tmp_path: Path) -> None:
    path, average = tmp_path / "last.ckpt", SWA(start=0.25)
    Run(average=SWA(start=0.25)).train(4, max_epochs=2, callbacks=[SaveAfter(0, path)])
    Run(average=average).train(4, max_epochs=epochs, resume=path)
    assert average.count == count


class StopAfter(L.Callback):
    """Stops after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class TestWithoutEnd:
    """`max_epochs=-1` and no `max_steps`, as with `max_time`."""

    def test_constant_rate_trains_until_something_stops_it(self) -> None:
        run = Run(scheduler=None, warmup=0.0).train(2, max_epochs=-1, callbacks=[StopAfter(3)])
        assert run.trainer.global_step == 3 * 2
        assert set(run.objective.told) == {0.0}
        assert all(rates == run.rates[0] for rates in run.rates)

    def test_steps_are_an_end(self) -> None:
        run = Run().train(2, max_epochs=-1, max_steps=5)
        assert run.rates == Run().train(5, max_epochs=1).rates
        assert run.objective.told == [0.0, 0.2, 0.4, 0.6, 0.8]

    @pytest.mark.parametrize(
        ("settings", "key", "instead"),
        [
            ({}, "scheduler", "constant"),
            ({"scheduler": None, "average": SWA(start=0.5)}, "average.start", "0"),
            ({"scheduler": None, "objectives": {"x": Scaled(paced="ramp_up")}}, "method.x.ramp_up", "0"),
        ],
    )
    def test_settings_in_shares_of_the_run_are_refused(self, settings: dict[str, Any], key: str, instead: str) -> None:
        with pytest.raises(ConfigError) as caught:
            fit(make_module(**{"scheduler": COSINE, **settings}), faces(1), max_epochs=-1)
        assert str(caught.value) == (
            f"{key}: expected a run of known length, got one without trainer.max_epochs or trainer.max_steps; set one "
            f"of them, or {key}={instead}"
        )

    def test_linear_probe_is_refused_unless_it_never_ends(self) -> None:
        with pytest.raises(ConfigError, match=r"^callbacks\.linear_probe\.share: .*, or callbacks\..*\.share=1$"):
            Run(scheduler=None).train(1, max_epochs=-1, callbacks=[LinearProbe(share=0.5)])
        probe = LinearProbe(share=1.0)
        Run(scheduler=None).train(1, max_epochs=-1, max_time=SHORT, callbacks=[probe])
        assert probe.probing


def test_checkpoint_holds_nothing_of_the_schedule(saved: Callable[..., Path]) -> None:
    assert torch.load(saved(), weights_only=True)["lr_schedulers"] == [{}]
