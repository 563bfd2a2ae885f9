"""Short keys apply only to their own commands, and only where they are not written out."""

from __future__ import annotations

import pytest

from faceflow.config.composition import compose_config
from faceflow.config.short_keys import spelled_out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("model=fast", "model.name=fast"),
        ("++model=fast", "++model.name=fast"),
        ("model=fast,fused", "model.name=fast,fused"),
        ("model={name:fast}", "model={name:fast}"),
        ("model.name=fast", "model.name=fast"),
        ("models=fast", "models=fast"),
        ("~model", "~model"),
        ("model", "model"),
    ],
)
def test_a_short_key_is_written_out(given: str, expected: str) -> None:
    assert spelled_out("infer", [given, "a=b"]) == [expected, "a=b"]


def test_other_commands_keep_their_groups() -> None:
    assert spelled_out("train", ["model=fast"]) == ["model=fast"]


def test_the_config_gets_it_though_hydra_has_a_group_of_that_name() -> None:
    assert compose_config("infer", ["output=-", "model=fast"])["model"] == {"name": "fast"}
    assert compose_config("infer", ["output=-"])["model"] == {"name": None}
