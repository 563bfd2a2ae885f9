from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.errors import ConfigError
from faceflow.losses.bce import BCE
from faceflow.methods.supervised import Supervised
from tests.helpers.methods import UNCENTRED

BCE_NODE = {"_target_": "faceflow.losses.bce.BCE", "weighting": "none", "max_weight": 2.0}
SUPERVISED = "faceflow.methods.supervised.Supervised"


def refusal(node: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        instantiate(node, key="loss")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nested_components_are_built_first() -> None:
    built = instantiate({"_target_": SUPERVISED, "criterion": BCE_NODE}, key="method.supervised")
    assert isinstance(built, Supervised)
    assert isinstance(built.criterion, BCE)


@pytest.mark.parametrize(
    ("key", "loss", "place"),
    [
        ("method.mine", {}, "method.mine.criterion"),  # a criterion of its own
        ("method.mine", {**BCE_NODE, "max_weight": 0}, "loss"),  # a copy, as `criterion: ${loss}` makes it
    ],
)
def test_a_refused_parameter_is_named_where_the_user_set_it(key: str, loss: dict[str, Any], place: str) -> None:
    node = {"_target_": SUPERVISED, "criterion": {**BCE_NODE, "max_weight": 0}}
    with pytest.raises(ConfigError) as caught:
        instantiate(node, key=key, copied={"loss": loss})
    assert str(caught.value) == f"{place}.max_weight: expected a finite number >= 1, got 0"


@pytest.mark.parametrize("name", ["fixmatch", "my_fix"])
def test_an_objective_is_named_by_its_own_key(name: str) -> None:
    settings = {
        **UNCENTRED,
        "n_cutoff": None,
        "coverage": None,
        "rank_consistent": True,
        "lambda_u": 1.0,
        "ramp_up": 0.1,
    }
    node = {"_target_": "faceflow.methods.fixmatch.FixMatch", "criterion": BCE_NODE, **settings, "teacher": "student"}
    with pytest.raises(ConfigError) as caught:
        instantiate({**node, "p_cutoff": {"AU12": 0.3}}, key=f"method.{name}")
    assert str(caught.value) == f"method.{name}.p_cutoff.AU12: expected a probability in (0.5, 1], got 0.3"


def test_a_message_that_names_a_whole_key_stays_as_it_is() -> None:
    node = {"_target_": "faceflow.training.averages.EMA", "decay": 2}
    with pytest.raises(ConfigError, match=r"^average\.decay: expected a number in"):
        instantiate(node, key="average")


def test_interpolations_are_resolved_and_containers_are_plain() -> None:
    cfg = OmegaConf.create({"size": 3, "node": {"_target_": "builtins.dict", "sizes": ["${size}", 4]}})
    built = instantiate(cfg.node, key="node")
    assert built == {"sizes": [3, 4]}
    assert type(built["sizes"]) is list


def test_runtime_values_complete_the_config() -> None:
    built = instantiate({"_target_": "torch.nn.Linear", "in_features": 3}, key="head", out_features=2)
    assert built.weight.shape == (2, 3)


def test_partial_waits_for_the_rest() -> None:
    factory = instantiate({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5}, key="optimizer")
    assert factory.keywords == {"lr": 0.5}
    assert factory([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5


def test_phantom_of_another_choice_is_explained() -> None:
    assert refusal({"p_cutoff": 0.9}) == (
        "loss: expected a component with a _target_, got keys ['p_cutoff']; "
        "an override may belong to another option of this config group"
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("faceflow.losses.bce.BCEE", "did you mean 'BCE'?"),
        ("faceflow.losses.bec.BCE", "no module named 'faceflow.losses.bec'"),
        ("faceflo.losses.bce.BCE", "no module named 'faceflo.losses.bce'"),
        ("BCE", "no module named 'BCE'"),
    ],
)
def test_target_that_does_not_exist_names_key_and_reason(target: str, reason: str) -> None:
    text = refusal({"_target_": target})
    assert text.startswith(f"loss: expected an importable _target_, got '{target}'")
    assert text.endswith(reason)


@pytest.mark.parametrize("target", ["", None, 3, "a..b", "faceflow.encoding.FACS_MAX", "torch.nn.Linear.typo"])
def test_target_that_is_no_component_is_refused_in_one_line(target: Any) -> None:
    assert refusal({"_target_": target}).startswith("loss: ")


@pytest.mark.parametrize(
    ("node", "name", "reason"),
    [
        ({**BCE_NODE, "gamma": 1}, "BCE", "unexpected keyword argument 'gamma'"),
        ({"_target_": "torch.nn.Dropout", "p": "high"}, "Dropout", "'<' not supported"),
    ],
)
def test_arguments_that_do_not_fit_name_the_class(node: dict[str, Any], name: str, reason: str) -> None:
    text = refusal(node)
    assert text.startswith(f"loss: {name} refused its arguments (")
    assert reason in text


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = f"{tmp_path}/file/folder"
    assert refusal({"_target_": "os.mkdir", "path": folder}) == (
        f"loss: expected a usable path, got '{folder}' (Not a directory); check the path, permissions and disk"
    )


def test_missing_argument_is_named() -> None:
    assert "missing 1 required keyword-only argument: 'max_weight'" in refusal(
        {"_target_": "faceflow.losses.bce.BCE", "weighting": "none"}
    )


@pytest.mark.parametrize("depth", [0, 1])
def test_message_of_the_component_itself_gets_its_place(depth: int) -> None:
    node: dict[str, Any] = {**BCE_NODE, "max_weight": 0.5}
    for _ in range(depth):
        node = {"_target_": SUPERVISED, "criterion": node}
    place = "loss" + ".criterion" * depth
    assert refusal(node) == f"{place}.max_weight: expected a finite number >= 1, got 0.5"


def test_value_that_the_user_must_give_is_not_passed_on() -> None:
    cfg = OmegaConf.create({"loss": {**BCE_NODE, "weighting": "???"}})
    with pytest.raises(MissingMandatoryValue, match=r"loss\.weighting"):
        plain_dict(cfg.loss)
