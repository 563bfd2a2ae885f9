"""Command lines are checked before Hydra reads them, with the user's own folder and config where they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.cli.argument_checks import check_arguments, with_image_size
from faceflow.config.composition import compose
from faceflow.config.instantiate import plain_dict
from faceflow.errors import ConfigError


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        ("infer", ["onnx=a", "output=b", "selection=all"], "selection: expected its keys"),
        ("crop", ["selection=all", "--cfg", "job"], "selection: expected its keys"),
        ("train", ["-m", "loader=4", "loss=bce,focal"], "loader: expected its keys"),
        ("train", ["data=3"], "data: expected an option"),
        ("export", ["data=[3]"], "data: expected an option"),
    ],
)
def test_a_mistake_in_an_override_is_found(command: str, arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=f"^{line}"):
        check_arguments(command, arguments)


@pytest.mark.parametrize(
    "arguments", [["seed"], ["loss=focall", "loader=4"], ["a b=c"], ["--cfg", "job"], ["x=[", "y"]]
)
def test_arguments_that_hydra_refuses_are_left_to_hydra(arguments: list[str]) -> None:
    check_arguments("train", arguments)


@pytest.mark.parametrize("flags", [("--config-dir", "{}", "-cn", "mine"), ("-cd={}", "--config-name=mine")])
def test_configs_of_ones_own_are_read(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "mine.yaml").write_text("part_of_mine:\n  width: 4\n", "utf-8")
    with pytest.raises(ConfigError, match=r"^part_of_mine: expected its keys \(width\), got 4"):
        check_arguments("train", [*(flag.format(tmp_path) for flag in flags), "part_of_mine=4"])


def test_the_config_of_another_command_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("defaults: [_self_]\ntask: train\nseed: 0\n", "utf-8")
    flags = ["--config-dir", str(tmp_path), "--config-name", "config"]
    check_arguments("train", flags)
    for name in ("config", "config.yaml"):
        with pytest.raises(ConfigError, match="^--config-name: expected a config of faceflow-test, got .*-train"):
            check_arguments("test", [*flags[:3], name])
    with pytest.raises(ConfigError, match="expected a config of faceflow-infer, got one of faceflow-export"):
        check_arguments("infer", ["--config-name=export"])


@pytest.mark.parametrize("command", ["test", "export"])
def test_configs_are_shown_resolved_before_a_checkpoint_is_read(command: str) -> None:
    needed = ["output=b", "checkpoint=a"] if command == "export" else []
    config = compose(command, with_image_size(command, ["--resolve", *needed])[1:])
    resize = plain_dict(config.transforms)["eval"]["resize"]
    assert (resize["height"], resize["width"]) == (None, None)
    assert with_image_size(command, needed) == needed
    assert with_image_size("train", ["--resolve"]) == ["--resolve"]
