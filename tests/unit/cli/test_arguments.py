"""Command lines as users type and paste them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser

from faceflow.cli import arguments
from faceflow.cli.arguments import ordered
from faceflow.errors import ConfigError


def refusal(*typed: str) -> str:
    with pytest.raises(ConfigError) as caught:
        ordered(typed, "train")
    return str(caught.value)


def test_options_between_settings_come_first_with_their_values() -> None:
    typed = ["a=1", "--config-dir", "my dir", "b=[x y]", "-m", "-cn=other", "~c", "--info", "defaults", "d=--x", "-i"]
    options = ["--config-dir", "my dir", "-m", "-cn=other", "--info", "defaults", "-i"]
    assert ordered(typed, "train") == [*options, "a=1", "b=[x y]", "~c", "d=--x"]


def test_all_options_of_hydra_are_known_with_or_without_a_value() -> None:
    with_value, without = set(), set()
    for action in get_args_parser()._actions:
        (without if action.nargs == 0 else with_value).update(action.option_strings)
    assert with_value == arguments._VALUED | arguments._MAYBE_VALUED
    assert without == arguments._FLAGS


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            ["--batch_size", "8"],
            "'--batch_size': expected key=value, got an option that faceflow-train does not have; write batch_size=8, "
            "or see faceflow-train --help",
        ),
        (
            ["--seed=3"],
            "'--seed=3': expected key=value, got an option that faceflow-train does not have; write seed=3, or see "
            "faceflow-train --help",
        ),
        (
            ["\u2013m", "seed=1,2"],
            "'\u2013m': expected -, got the dash of a text processor (\u2013); type it as '-m' or '--m'",
        ),
        (["seed", "=", "1"], "'seed': expected key=value, got no '='; write it as one word, key=value"),
        (["=1"], "'=1': expected key=value, got no key before '='; write it as one word, key=value"),
        (["seed =1"], "'seed =1': expected key=value, got a space before '='; write it as one word, key=value"),
        (
            ["aus.names=“[AU1]”"],
            "'aus.names=“[AU1]”': expected ' or \" as quotes, got “ and ”; type them again",
        ),
    ],
)
def test_an_argument_that_is_not_a_setting_is_named(typed: list[str], line: str) -> None:
    assert refusal(*typed) == line


def test_a_file_can_have_typographic_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("„a“").touch()
    assert ordered(["source=„a“"], "crop") == ["source=„a“"]
    assert ordered(["„a“"], "crop") == ["„a“"]  # what lacks there is the key


def test_files_of_compare_need_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1, b").mkdir()
    typed = ["first", "level=0.01", "lr=1, b", "-cn", "mine", "it's"]
    assert ordered(typed, "compare") == ["-cn", "mine", "level=0.01", r"runs=['first','lr=1, b','it\'s']"]
    assert ordered(["level=0.01"], "compare") == ["level=0.01"]
    with pytest.raises(ConfigError, match=r"^runs: expected the key, or files without it, got both; "):
        ordered(["first", "runs=[second,third]"], "compare")
