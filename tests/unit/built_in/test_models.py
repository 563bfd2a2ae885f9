"""The built-in models: complete, small, and refused if a file differs from the released one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceflow.built_in.models import CARD, FOLDER, MODELS, built_in_model, built_in_name
from faceflow.errors import ConfigError, ExportError
from faceflow.faces.features import FEATURES
from faceflow.inference.onnx_model import OnnxModel

_INPUTS = {"fused": ("images", "features"), "fast": ("features",)}
_FAST, _BOTH = 1_000_000, 8_000_000  # bytes


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Built-in models that a test can damage."""
    return Path(shutil.copytree(FOLDER, tmp_path / "built_in"))


@pytest.mark.parametrize("name", MODELS)
def test_a_built_in_model_says_what_it_needs(name: str) -> None:
    path = built_in_model(name)
    contract = OnnxModel(path, provider="cpu").contract
    assert contract.inputs == _INPUTS[name]
    assert set(contract.thresholds) >= set(contract.aus)
    assert contract.crop is not None
    assert contract.crop["detector"]["name"] == "mediapipe_landmarks"


@pytest.mark.parametrize("name", MODELS)
def test_a_built_in_model_scores_faces(name: str) -> None:
    model = OnnxModel(built_in_model(name), provider="cpu")
    size = model.contract.image_size
    scores = model.run(np.zeros((2, size, size, 3), np.uint8), np.full((2, FEATURES), 0.5, np.float32))
    assert scores.probability.shape == (2, len(model.contract.aus))
    assert np.isfinite(scores.probability).all()


def test_no_name_is_the_fused_one() -> None:
    assert built_in_model(None) == built_in_model("fused")


def test_both_together_keep_the_wheel_small() -> None:
    sizes = {name: built_in_model(name).stat().st_size for name in MODELS}
    assert sizes["fast"] <= _FAST
    assert sum(sizes.values()) <= _BOTH


def test_both_and_their_card_lie_together_and_know_their_names(tmp_path: Path) -> None:
    assert CARD.is_file()
    assert [built_in_name(built_in_model(name)) for name in MODELS] == list(MODELS)
    assert built_in_name(tmp_path / "fused.onnx") is None
    assert built_in_name(CARD) is None


def test_a_name_that_is_none_of_them_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"^model: expected fused, fast, null, got 'fsat'; did you mean 'fast'\?$"):
        built_in_model("fsat")


def other_bytes(folder: Path) -> None:
    path = folder / "fast.onnx"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (
            other_bytes,
            r"^{folder}/fast\.onnx: expected SHA-256 [0-9a-f]{{64}}, got [0-9a-f]{{64}}; reinstall face",
        ),
        (
            lambda folder: (folder / "fast.onnx").unlink(),
            r"^{folder}/fast\.onnx: expected the built-in model, got no such file; reinstall faceflow: pip install ",
        ),
        (
            lambda folder: (folder / "SHA256SUMS").unlink(),
            r"^{folder}/SHA256SUMS: expected the SHA-256 of fast\.onnx, got none; reinstall faceflow: ",
        ),
        (
            lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff\n\nfast.onnx\n"),
            r"^{folder}/SHA256SUMS: expected the SHA-256 of fast\.onnx, got none; reinstall faceflow: ",
        ),
    ],
    ids=["other bytes", "no file", "no hashes", "hashes that are none"],
)
def test_a_damaged_install_is_one_line(copies: Path, damage: Callable[[Path], object], line: str) -> None:
    damage(copies)
    with pytest.raises(ExportError, match=line.format(folder=copies)) as caught:
        built_in_model("fast", folder=copies)
    assert "\n" not in str(caught.value)


def test_hashes_of_binary_files_are_read_too(copies: Path) -> None:
    sums = copies / "SHA256SUMS"
    sums.write_text(sums.read_text("utf-8").replace("  ", " *"), "utf-8")
    assert built_in_model("fast", folder=copies) == copies / "fast.onnx"
