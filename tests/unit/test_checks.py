"""Valid settings: numbers, choices, installed packages, and strings that cannot be file names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import faceflow
from faceflow.checks import (
    check_boolean,
    check_choice,
    check_installed,
    check_number,
    check_parallel,
    check_texts,
    check_whole,
    names_file,
)
from faceflow.errors import ConfigError
from tests.helpers.exported import write_model
from tests.integration.command import run

NUL = r"expected characters allowed in a file name, got 'a\x00b.png'; correct it"


def refusal(check: Callable[..., None], value: object, **arguments: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        check(value, key="k", **arguments)
    return str(caught.value)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, -0.1, [1]])
def test_a_number_is_finite_and_in_its_range(value: object) -> None:
    rule: dict[str, Any] = {"expected": "a number >= 0", "valid": lambda x: x >= 0}
    assert refusal(check_number, value, **rule) == f"k: expected a number >= 0, got {value!r}"
    check_number(0, key="k", **rule)


@pytest.mark.parametrize("value", [True, "2", 2.0, None, 1, 5])
def test_a_whole_number_is_in_its_range_with_both_ends(value: object) -> None:
    assert refusal(check_whole, value, lowest=2, highest=4) == f"k: expected a whole number from 2 to 4, got {value!r}"
    check_whole(2, key="k", lowest=2, highest=4)
    check_whole(4, key="k", lowest=2, highest=4)


def test_more_threads_than_a_machine_can_hold_are_refused() -> None:
    most = 16 * (os.cpu_count() or 1)
    check_parallel(0, key="k")
    check_parallel(most, key="k")
    expected = f"k: expected a whole number from 0 to {most}, 16 for each core of this machine, got {most + 1}"
    assert refusal(check_parallel, most + 1) == expected
    assert refusal(check_parallel, -1) == "k: expected a whole number >= 0, got -1"
    assert refusal(check_parallel, 1.5) == "k: expected a whole number >= 0, got 1.5"


def test_a_whole_number_without_a_highest_one_and_with_other_words() -> None:
    assert refusal(check_whole, -1, lowest=0) == "k: expected a whole number >= 0, got -1"
    assert refusal(check_whole, -1, lowest=0, expected="a count of faces") == "k: expected a count of faces, got -1"
    check_whole(10**30, key="k", lowest=0)


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_boolean_is_no_number_and_no_text(value: object) -> None:
    assert refusal(check_boolean, value) == f"k: expected true or false, got {value!r}"
    check_boolean(False, key="k")


def test_a_choice_names_its_options_and_those_spelt_alike() -> None:
    assert refusal(check_choice, "jgp", options=("jpg", "png")) == (
        "k: expected jpg or png, got 'jgp'; did you mean 'jpg'?"
    )
    assert refusal(check_choice, ["x"], options=dict.fromkeys("abc")) == "k: expected a, b, c, got ['x']"
    assert refusal(check_choice, "zz", options=(None, "a")) == "k: expected null or a, got 'zz'"
    check_choice(None, key="k", options=(None, "a"))


def test_packages_that_are_not_there_are_named_with_what_installs_them() -> None:
    check_installed("json", "pytest", key="k", install="faceflow[train]")
    with pytest.raises(ConfigError) as caught:
        check_installed("json", "no_such_package", "nor_this", key="k", install="faceflow[train]", instead="take b")
    assert str(caught.value) == (
        "k: expected no_such_package, nor_this to be installed, got none; run: pip install 'faceflow[train]', or take b"
    )


@pytest.mark.parametrize("text", ["", "a b.png", "Grüße/顔.png", "a\udcff.png"])  # the last: bytes that are no UTF-8
def test_valid_file_names(text: str) -> None:
    assert names_file(text)
    check_texts({"source": [text]}, key="")


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b"])
def test_invalid_file_names(text: str) -> None:
    assert not names_file(text)


def test_the_key_of_a_text_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check_texts({"data": {"exclude": ["good", 3, None, "a\0b.png"]}}, key="")
    assert str(caught.value) == f"data.exclude[3]: {NUL}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("infer", "onnx"),
        ("infer", "source"),
        ("infer", "calibrate"),
        ("crop", "source"),
        ("export", "checkpoint"),
        ("test", "checkpoint"),
        ("test", "onnx"),
        ("train", "init_weights"),
        ("train", "model.weights"),
        ("train", "paths.cache"),
    ],
)
def test_every_command_refuses_them_in_one_line(command: str, key: str, tmp_path: Path) -> None:
    needed = {"infer": ["onnx=m", "output=-"], "crop": ["output=o"], "export": ["checkpoint=c", "output=o.onnx"]}
    outcome = run(command, tmp_path, *needed.get(command, []), f"{key}='a\0b.png'")
    assert (outcome.code, outcome.error) == (2, f"ConfigError: {key}: {NUL}")


def test_python_refuses_them_alike(tmp_path: Path) -> None:
    model = faceflow.load(write_model(tmp_path / "m.onnx"), "crops=true")
    for source, key in (("a\0b.png", "source"), (Path("a\0b.png"), "source"), (["a.png", "a\0b.png"], "source[1]")):
        with pytest.raises(ConfigError) as caught:
            model.predict(source)
        assert str(caught.value) == f"{key}: {NUL}"
    with pytest.raises(ConfigError) as caught:
        faceflow.load("m.onnx", "calibrate='a\0b.png'")
    assert str(caught.value) == f"calibrate: {NUL}"
