from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from faceflow.errors import CheckpointError
from faceflow.models.weights import Weights, load_file
from tests.helpers.networks import read_weights

STATE = {"conv.weight": torch.arange(12.0).reshape(3, 4), "bn.running_mean": torch.ones(3)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"
PAGE = "\n<!DOCTYPE html>\n<html><title>Google Drive - Quota exceeded</title></html>\n"
SHAPES = {name: value.shape for name, value in STATE.items()}


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.target, "w")


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_weights(path, key="model.weights")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrapped", "prefix"),
    [
        (STATE, ""),
        ({"state_dict": STATE, "epoch": 3}, "state_dict."),
        ({"model": STATE, "optimizer": {"lr": 0.1}}, "model."),
        ({"a": {"b": {"net.x": torch.ones(1), **STATE}}}, "a.b."),
        ({f"module.{key}": value for key, value in STATE.items()}, "module."),
        ({**STATE, 7: torch.ones(1), "epoch": 3}, ""),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_found_in_dicts_within_dicts(
    tmp_path: Path, wrapped: dict[Any, Any], prefix: str, zipped: bool
) -> None:
    torch.save(wrapped, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "w.pth", key="model.weights")
    assert found.best_prefix(SHAPES) == prefix
    below = found.below(prefix)
    assert all(torch.equal(below[name], value) for name, value in STATE.items())


def best_prefix(*names: str, shapes: dict[str, Any] | None = None, **tensors: torch.Tensor) -> str:
    """Prefix among copies of STATE under some, all of the right shape."""
    copies = {prefix + key: value for prefix in names for key, value in STATE.items()}
    return Weights(tensors=copies | tensors, path="w.pth", key="model.weights").best_prefix(shapes or SHAPES)


def test_shapes_decide_between_equal_names() -> None:
    other = {f"decoder.{key}": torch.zeros(2) for key in STATE}
    assert best_prefix("encoder.", **other) == "encoder."
    assert Weights(tensors=other, path="", key="").best_prefix(SHAPES) == "decoder."


def test_an_average_comes_before_the_rest_and_then_the_first_in_the_file() -> None:
    assert best_prefix("a.", "b.") == "a."
    assert best_prefix("a.", "model_ema.module.") == "model_ema.module."
    assert best_prefix("scheme.", "b.") == "scheme."  # no word of its own


def test_nothing_in_common_is_no_prefix() -> None:
    assert Weights(tensors={"x.y": torch.ones(1)}, path="", key="").best_prefix(SHAPES) == ""


def test_dicts_that_hold_themselves_are_walked_once(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": dict(STATE)}
    content["again"] = content
    content["state_dict"]["up"] = content
    torch.save(content, tmp_path / "w.pth")
    assert len(read_weights(tmp_path / "w.pth", key="model.weights").tensors) == len(STATE)


def test_name_of_many_dots_is_read_in_time() -> None:
    name = "a." * 1_000_000
    assert Weights(tensors={name: torch.ones(1)}, path="", key="").best_prefix(SHAPES) == ""


def test_safetensors_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(save(STATE))
    found = read_weights(tmp_path / "w.safetensors", key="model.weights").tensors
    assert all(torch.equal(found[name], value) for name, value in STATE.items())


def test_content_says_the_kind_of_a_file_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "safe.pth").write_bytes(save(STATE))
    torch.save(STATE, tmp_path / "torch.safetensors")
    for name in ("safe.pth", "torch.safetensors"):
        found = read_weights(tmp_path / name, key="model.weights").tensors
        assert all(torch.equal(found[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("wrapper", ["torch", "pickle"])
def test_pickled_code_is_refused_and_never_run(tmp_path: Path, wrapper: str) -> None:
    target, path = tmp_path / "exploded", tmp_path / "bomb.pth"
    if wrapper == "torch":
        torch.save({"state_dict": STATE, "hook": Bomb(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(target)))
    assert "it was not run" in refusal(path)
    assert not target.exists()


def test_pickled_code_in_a_torch_file_is_called_so(tmp_path: Path) -> None:
    torch.save({"hook": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match=r"expected tensors and plain values only, got pickled code \(\S*open\)"):
        load_file(tmp_path / "bomb.pth", key="checkpoint")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (POINTER, "expected a file of tensors, got a Git LFS pointer to it: '{path}'; run: git lfs pull"),
        (PAGE, "expected a file of tensors, got a web page: '{path}'; download the file itself"),
    ],
)
def test_a_placeholder_for_a_file_that_was_not_fetched_is_named(tmp_path: Path, content: str, got: str) -> None:
    for name in ("w.pth", "w.safetensors"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        assert refusal(path) == "model.weights: " + got.format(path=path)


def test_a_file_of_another_kind_is_not_called_code(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_text("AU1,filename\n1,a.png\n", encoding="utf-8")
    expected = f"{path}: expected a torch or safetensors file, got one of another kind; check model.weights"
    assert refusal(path) == expected


def test_an_address_is_not_taken_for_a_file() -> None:
    with pytest.raises(
        CheckpointError, match=r"^checkpoint: expected a file, got the address 'https://a\.b/c\.ckpt'; "
    ):
        load_file("https://a.b/c.ckpt", key="checkpoint")


@pytest.mark.parametrize("zipped", [True, False])
def test_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 + len(whole) // 60):
        path.write_bytes(whole[:length])
        assert refusal(path).startswith(str(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_bytes_never_surface_as_an_error_of_the_unpickler(tmp_path: Path, zipped: bool) -> None:
    path, rng = tmp_path / "w.pth", random.Random(0)
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    whole, refused = path.read_bytes(), 0
    for _ in range(200):
        damaged = bytearray(whole)
        for position in rng.sample(range(min(len(whole), 400)), 3):
            damaged[position] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_weights(path, key="model.weights")
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"AU1,filename\n1,a.png\n", b"\x80\x02}q\x00.", bytes(range(256)), b"\x89PNG"]
)
def test_foreign_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    assert refusal(path).startswith(str(path))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.ones(1)], torch.ones(1), {1: torch.ones(1)}, None])
def test_file_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert "expected a state dict of tensors" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_missing_file_and_folder_are_told_apart(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    message = f"model.weights: expected a file, got '{path}', which {{}}; check the path"
    assert refusal(path) == message.format("does not exist")
    path.mkdir()
    assert refusal(path) == message.format("is a folder")


def test_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    torch.save(STATE, tmp_path / "w.pth")
    assert read_weights("~/w.pth", key="model.weights").tensors.keys() == STATE.keys()
