"""`--help` lists the groups that the command takes, and is fast."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from faceflow.cli.help import help_text
from faceflow.config.paths import config_dir

COMMANDS = ("train", "test", "crop", "pack", "render", "export", "infer", "sweep", "compare")


def groups_of(text: str) -> dict[str, list[str]]:
    """Options by group, as the help lists them."""
    found = re.search(r"Groups \(GROUP=OPTION\).*?\n(.*?)\n\n", text, re.DOTALL)
    joined = re.sub(r",\n +", ", ", found[1]) if found else ""
    return {group: names.split(", ") for group, names in re.findall(r"^  (\S+): (.+)$", joined, re.MULTILINE)}


def chosen_groups(command: str) -> set[str]:
    """Groups that Hydra itself chose options of, but for its own and those of the layout of our configs."""
    with initialize_config_dir(config_dir(), version_base="1.3"):
        config = compose(command, return_hydra_config=True)
    groups = {choice.partition("@")[0] for choice in config.hydra.runtime.choices}
    return {group for group in groups if not group.startswith("hydra") and group not in ("layout", "help", "local")}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_lists_the_groups_that_hydra_takes_in_it(command: str) -> None:
    listed = groups_of(help_text(command, []))
    outer = {group for group in listed if "/" not in group}
    assert {group.partition("/")[0] for group in chosen_groups(command)} == outer
    for group, names in listed.items():
        every = {path.stem for path in (Path(config_dir()) / group).glob("*.yaml")}
        others = every - set(names)
        assert names == sorted(every - others)
        assert not others or group == "experiment"  # those of another command


@pytest.mark.parametrize("form", [["--config-dir", "{own}"], ["--config-dir={own}"], ["-cd", "{own}"]])
def test_options_of_ones_own_folder_are_listed(tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "my_faces.yaml").write_text("# @package data\n")
    arguments = [argument.format(own=tmp_path) for argument in form]
    assert "my_faces" in groups_of(help_text("train", arguments))["data"]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_command_prints_it_and_does_nothing_else(
    flag: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["faceflow-crop", "source=nothing", flag])
    import_module("faceflow.cli.crop").main()
    assert capsys.readouterr().out == help_text("crop", [])
