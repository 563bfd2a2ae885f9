"""Progress output of a training with a real trainer, on a terminal and in a file."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import torch

from faceflow.errors import ConfigError
from faceflow.training.epoch_bar import EpochBar
from tests.helpers.networks import random_images
from tests.helpers.terminal import Terminal, terminal
from tests.helpers.training import fit, make_module

MONITOR = "val/f1_val"
VALIDATION = [{"eval": random_images(2, 64), "index": torch.arange(2)}]


def make_bar(*, patience_s: float = 0.0) -> EpochBar:
    bar = EpochBar(refresh_rate=2, monitor=MONITOR)
    bar.patience_s = patience_s
    return bar


def train(bar: EpochBar, *, steps: int = 3, **settings: Any) -> None:
    shown = {"labeled": random_images(2, 64), "target": torch.tensor([[[0.0]] * 2, [[1.0]] * 2])}
    rows = {"labeled": {**shown, "mask": torch.ones(2, 2, dtype=torch.bool), "index": torch.arange(2)}}
    fit(make_module(), [rows] * steps, callbacks=[bar], enable_progress_bar=True, **settings)


def plain(screen: Terminal) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == EpochBar.__module__]


@pytest.fixture(autouse=True)
def _informed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, EpochBar.__module__)


def test_a_terminal_sees_steps_loss_and_validation_of_every_epoch(caplog: pytest.LogCaptureFixture) -> None:
    with terminal() as screen:
        train(make_bar(), max_epochs=2, validation=VALIDATION)
    shown = plain(screen)
    assert re.search(r"Epoch 1 of 2 [^\r]*3/3 [^\r]*loss \d\.\d{3}", shown)
    assert re.search(r"Validating [^\r]*1/1", shown)
    assert re.search(rf"Epoch 2 of 2 [^\r]*3/3 [^\r]*loss \d\.\d{{3}}, {MONITOR} ", shown)
    assert lines(caplog) == []
    assert screen.getvalue().endswith("\x1b[2K")  # the line is wiped


def test_a_validation_within_an_epoch_does_not_lose_the_count() -> None:
    with terminal() as screen:
        train(make_bar(), steps=4, val_check_interval=2, validation=VALIDATION)
    counts = re.findall(r"(Epoch|Validating)[^\r]*?(\d/\d)", plain(screen))
    for one in (("Epoch", "2/4"), ("Validating", "1/1"), ("Epoch", "4/4")):
        counts = counts[counts.index(one) :]


def test_a_short_training_shows_no_bar() -> None:
    with terminal() as screen:
        train(make_bar(patience_s=600))
    assert screen.getvalue() == ""


def test_a_file_gets_one_line_per_epoch(caplog: pytest.LogCaptureFixture) -> None:
    train(make_bar(), max_epochs=2, validation=VALIDATION)
    first, second = lines(caplog)
    assert re.fullmatch(rf"Epoch 1 of 2: loss \d\.\d{{3}}, {MONITOR} (\d\.\d{{3}}|nan), \d+ s", first)
    assert second.startswith("Epoch 2 of 2: loss ")


def test_an_epoch_without_validation_says_its_loss_alone(caplog: pytest.LogCaptureFixture) -> None:
    train(make_bar())
    assert re.fullmatch(r"Epoch 1 of 1: loss \d\.\d{3}, \d+ s", lines(caplog)[0])


def test_an_error_gives_the_terminal_back() -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    with terminal() as screen, pytest.raises(RuntimeError, match="out of memory"):
        train(make_bar(), after_batch=fail)
    assert screen.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is visible again, the line is wiped


def test_processes_after_the_first_show_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bar = make_bar()
    bar.disable()
    with terminal() as screen:
        train(bar)
    train(bar)
    assert (screen.getvalue(), lines(caplog)) == ("", [])


def test_a_refresh_rate_that_is_no_count_of_steps_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^callbacks\.progress\.refresh_rate: expected a whole number >= 1, got 0$"):
        EpochBar(refresh_rate=0, monitor=MONITOR)
