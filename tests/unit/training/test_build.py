"""Parts of a run are built from plain values; errors name the config key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch.callbacks import LearningRateMonitor

from faceflow.errors import ConfigError
from faceflow.training.batches import build_pipelines
from faceflow.training.build import build_objectives, build_spec, build_trainer, check_trainer
from tests.helpers.runs import MODEL, RESIZE, TRAINER


def spec_of(**changes: Any) -> Any:
    return build_spec(MODEL | changes, aus=["AU1", "AU12"], levels=5, points=None, occurrence_min=2.0)


def test_the_spec_holds_what_the_network_is() -> None:
    spec = spec_of()
    assert (spec.backbone, spec.aus, spec.levels, spec.image_size) == ("test_resnet", ("AU1", "AU12"), 5, 32)
    assert spec.cutpoints == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert spec.mean == (0.5, 0.5, 0.5)


def test_mean_and_deviation_default_to_those_of_the_backbone() -> None:
    spec = spec_of(backbone="resnet18", mean=None, std=None)
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of ImageNet
    with pytest.raises(ConfigError, match=r"model.mean: expected three numbers \[R,G,B\] in 0..1, or null, got 0.5"):
        spec_of(mean=0.5)


def test_only_pipelines_that_views_read_are_built() -> None:
    broken = {"step": {"_target_": "albumentations.NoSuchStep"}}
    transforms = {"labeled": RESIZE, "weak": RESIZE, "strong": broken, "eval": RESIZE}
    built = build_pipelines(transforms, ["labeled", "unlabeled/weak"])
    assert built.keys() == {"labeled", "weak", "eval"}
    assert built["labeled"](np.zeros((40, 30, 3), np.uint8), 0).shape == (32, 32, 3)
    with pytest.raises(ConfigError, match="transforms.strong"):
        build_pipelines(transforms, ["unlabeled/strong"])


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({}, "method: expected at least one objective, got none; choose method=supervised"),
        ({"supervised": None}, "method: expected at least one objective"),
        ({"mine": {"_target_": "builtins.dict"}}, "method.mine: expected an Objective, got dict"),
    ],
)
def test_a_method_that_is_none_is_refused(method: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_objectives(method)


def trainer(output: Path, callbacks: dict[str, Any] | None = None, **changes: Any) -> Any:
    check_trainer(TRAINER | changes)
    return build_trainer(TRAINER | changes, callbacks=callbacks or {}, watchers=[], loggers=[], output=output)


def test_a_trainer_has_the_callbacks_that_are_not_switched_off(tmp_path: Path) -> None:
    watched = {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}
    bar = {"_target_": "lightning.pytorch.callbacks.TQDMProgressBar"}
    built = trainer(tmp_path, {"rate": watched, "off": None, "bar": bar})
    kinds = [type(callback).__name__ for callback in built.callbacks]
    assert any(isinstance(callback, LearningRateMonitor) for callback in built.callbacks)
    assert "TQDMProgressBar" not in kinds, "enable_progress_bar=false"
    assert built.max_epochs == 1
    assert built.default_root_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epochs": 1.5}, "trainer.max_epochs: expected a whole number >= -1, got 1.5"),
        ({"accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches: expected a whole number >= 1, got 0"),
        ({"accelerator": "abacus"}, "trainer: .*abacus"),
        ({"no_such_argument": 1}, "trainer: .*no_such_argument"),
        ({"limit_test_batches": 3}, "trainer.limit_test_batches: expected null"),
    ],
)
def test_a_trainer_setting_that_is_refused_is_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        trainer(tmp_path, **settings)
