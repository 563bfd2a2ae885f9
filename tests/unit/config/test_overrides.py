from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

import faceflow
from faceflow.config.overrides import override_texts, spell_overrides


@pytest.mark.parametrize(
    "value",
    [
        *("disfa", "", "it's", 'a "b"', "a\\", "\\'", "a, b = [c] {d: e}", "1", "true", "null", "ü 顔\n"),
        *(0, -3, 1.5, 1e-5, True, False, ["a", "b,c", 2, None], {"a": 1, "b": {"c": "d: e"}}, []),
    ],
)
def test_hydra_reads_back_what_was_spelled(value: object) -> None:
    (override,) = OverridesParser.create().parse_overrides(spell_overrides({"key": value}))
    assert override.key_or_group == "key"
    assert override.value() == value
    assert type(override.value()) is type(value)


def test_paths_and_numbers_of_numpy_are_plain() -> None:
    spelled = spell_overrides({"a": Path("x/y z"), "b": np.int64(3), "c": np.float32(0.5), "d": (Path("p"), "q")})
    values = [override.value() for override in OverridesParser.create().parse_overrides(spelled)]
    assert values == ["x/y z", 3, 0.5, ["p", "q"]]


def test_values_of_numpy_and_torch_without_a_dimension_are_plain() -> None:
    values = {
        "a": np.bool_(True),
        "b": torch.tensor(3),
        "c": torch.tensor(False),
        "d": np.array("disfa"),
        "e": torch.tensor([1, 2]),
        "f": np.array([0.5, 0.25]),
        "g": np.float32(0.1),
    }
    spelled = ["a=true", "b=3", "c=false", "d='disfa'", "e=[1,2]", "f=[0.5,0.25]", "g=0.1"]
    assert spell_overrides(values) == spelled


@pytest.mark.parametrize("overrides", [["seed=1", "a=b"], ("seed=1", "a=b"), iter(["seed=1", "a=b"])])
def test_a_list_of_texts_is_taken(overrides: object) -> None:
    assert override_texts(overrides) == ["seed=1", "a=b"]


@pytest.mark.parametrize(
    ("overrides", "got"),
    [
        *((None, "NoneType"), ({"seed": 1}, "dict"), (1, "int"), (b"seed=1", "bytes"), (Path("seed=1"), ".*Path")),
        *(([1], "1 in it"), (["seed=1", Path("seed=1")], ".*Path.* in it"), ([["seed=1"]], ".* in it")),
    ],
)
def test_other_forms_of_overrides_are_a_type_error(overrides: Any, got: str) -> None:
    for call in (override_texts, faceflow.train, faceflow.crop):
        with pytest.raises(TypeError) as caught:
            call(overrides)
        assert re.fullmatch(
            f'overrides: expected a list of strings such as \\["seed=1"\\], got {got}', str(caught.value)
        )


@pytest.mark.parametrize("config_dir", [3, b"mine", ["mine"]])
def test_a_config_folder_is_a_string_or_a_path(config_dir: Any) -> None:
    with pytest.raises(TypeError, match="^config_dir: expected a str or a path, got "):
        faceflow.crop(output="a", config_dir=config_dir)


def test_omitted_arguments_keep_the_config_values() -> None:
    assert spell_overrides({"a": None, "b.c": 1, "d": False}) == ["b.c=1", "d=false"]


def test_other_objects_are_a_type_error_that_names_the_key() -> None:
    with pytest.raises(TypeError, match="labels: expected a string, a number, true or false, .* got object"):
        spell_overrides({"labels": object()})
    with pytest.raises(TypeError, match="data: expected a string, .*, got bytes"):
        spell_overrides({"data": b"csv"})
