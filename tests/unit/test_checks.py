"""Texts that no file can be named by."""

from __future__ import annotations

from pathlib import Path

import pytest

import faceflow
from faceflow.checks import check_texts, names_file
from faceflow.errors import ConfigError
from tests.helpers.exported import write_model
from tests.integration.command import run

NUL = r"expected characters that a file name can hold, got 'a\x00b.png'; correct it"


@pytest.mark.parametrize("text", ["", "a b.png", "Grüße/顔.png", "a\udcff.png"])  # the last: bytes that are no UTF-8
def test_what_a_file_can_be_named(text: str) -> None:
    assert names_file(text)
    check_texts({"source": [text]}, key="")


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b"])
def test_what_no_file_can_be_named(text: str) -> None:
    assert not names_file(text)


def test_the_key_of_a_text_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check_texts({"data": {"exclude": ["good", 3, None, "a\0b.png"]}}, key="")
    assert str(caught.value) == f"data.exclude[3]: {NUL}"


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
