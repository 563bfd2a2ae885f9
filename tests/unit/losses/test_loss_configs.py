from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from faceflow.errors import ConfigError
from faceflow.losses.elementwise import ElementwiseLoss

FOLDER = Path(__file__).parents[3] / "configs" / "loss"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


def load(path: Path) -> tuple[type[ElementwiseLoss], dict[str, Any]]:
    values: Any = OmegaConf.to_container(OmegaConf.load(path))
    module, _, name = values.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name), values


def test_every_loss_has_a_config() -> None:
    room = importlib.import_module("faceflow.losses").__path__
    modules = [importlib.import_module(f"faceflow.losses.{found.name}") for found in pkgutil.iter_modules(room)]
    losses = {value for module in modules for value in vars(module).values() if inspect.isclass(value)}
    losses = {loss for loss in losses if issubclass(loss, ElementwiseLoss) and loss is not ElementwiseLoss}
    assert {load(path)[0] for path in CONFIGS} == losses
    assert len(losses) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_holds_every_parameter_and_builds(path: Path) -> None:
    cls, values = load(path)
    signature = inspect.signature(cls)
    signature.bind(**values)
    own = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]  # of nn.Module
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in own)
    assert isinstance(cls(**values), ElementwiseLoss)
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ("bce", "max_weight", 0.5),
        ("bce", "max_weight", float("nan")),
        ("bce", "max_weight", float("inf")),
        ("weighted_asymmetric", "max_weight", 0.0),
        ("focal", "gamma", -1.0),
        ("focal", "alpha", 1.5),
        ("focal", "alpha", -1.0),
        ("dice", "epsilon", 0.0),
        ("dice", "bce_share", 0.0),
        ("dice", "bce_share", 1.1),
        ("distribution_balanced", "neg_scale", 0.0),
        ("distribution_balanced", "init_bias", -0.1),
        ("distribution_balanced", "map_alpha", -0.1),
        ("distribution_balanced", "map_beta", 0.0),
        ("distribution_balanced", "map_gamma", float("nan")),
        ("distribution_balanced", "focal_gamma", -0.5),
        ("distribution_balanced", "balance", 0.0),
    ],
)
def test_number_out_of_range_names_its_key(config: str, key: str, value: float) -> None:
    cls, values = load(FOLDER / f"{config}.yaml")
    with pytest.raises(ConfigError, match=rf"^{key}: expected .*got {value!r}$"):
        cls(**{**values, key: value})


@pytest.mark.parametrize(
    ("config", "key", "options"),
    [
        ("bce", "weighting", "none, inverse_frequency, positive, positive_sqrt"),
        ("weighted_asymmetric", "weighting", "none or inverse_frequency"),
        ("distribution_balanced", "neutral_weight", "mean or max"),
    ],
)
def test_unknown_option_lists_the_known_ones(config: str, key: str, options: str) -> None:
    cls, values = load(FOLDER / f"{config}.yaml")
    with pytest.raises(ConfigError, match=rf"^{key}: expected {options}, got 'typo'$"):
        cls(**{**values, key: "typo"})
