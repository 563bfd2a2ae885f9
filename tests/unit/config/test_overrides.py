from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from faceflow.config.overrides import spell_overrides


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


def test_what_was_not_given_is_left_to_the_config() -> None:
    assert spell_overrides({"a": None, "b.c": 1, "d": False}) == ["b.c=1", "d=false"]


def test_other_objects_are_a_type_error_that_names_the_key() -> None:
    with pytest.raises(TypeError, match="labels: expected a text, a number, a list or a dict, got object"):
        spell_overrides({"labels": object()})
