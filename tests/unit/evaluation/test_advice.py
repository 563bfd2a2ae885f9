"""Library warnings meant for developers are hidden; those that concern users are shown."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import pytest

from faceflow.evaluation.advice import silence_advice


@pytest.fixture
def restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "timm")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("restored")
def test_advice_is_silenced_and_nothing_else() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        silence_advice()
        warnings.warn("The 'train_dataloader' does not have many workers which may be a bottleneck.", stacklevel=1)
        warnings.warn("Checkpoint directory /runs/a/checkpoints exists and is not empty.", stacklevel=1)
        warnings.warn("the loss is not a number", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["the loss is not a number"]


@pytest.mark.usefixtures("restored")
def test_libraries_still_log_their_warnings(caplog: pytest.LogCaptureFixture) -> None:
    silence_advice()
    logging.getLogger("timm.models").info("Loading pretrained weights")
    logging.getLogger("timm.models").warning("unexpected keys")
    assert caplog.messages == ["unexpected keys"]
