"""Checkpoints and exported models of earlier versions still work, with unchanged outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import faceflow
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.images import Image
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.checkpoint import load_network
from tests.integration.command import Faces, run

FILES = Path(__file__).parents[1] / "data" / "v0_1_0"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FILES / "expected.json").read_text("utf-8"))
SUFFIXES = {"levels1": "", "levels5": "_levels5"}
SIZE = 32

each_model = pytest.mark.parametrize("name", EXPECTED)


def patterns() -> Image:
    """The images (4, 32, 32, 3) whose outputs are in `expected.json`."""
    y, x = np.mgrid[:SIZE, :SIZE]
    channels = [[x * (3 + n) + 40 * n, y * 7 + x * n, x * y + 30 * n] for n in range(4)]
    return np.moveaxis(np.array(channels) % 256, 1, -1).astype(np.uint8)


def checkpoint(name: str) -> Path:
    return FILES / f"best{SUFFIXES[name]}.ckpt"


def model(name: str) -> Path:
    return FILES / f"model{SUFFIXES[name]}.onnx"


def assert_kept(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Later versions can add entries and raise the format number, but keep the existing entries."""
    assert {key: found.get(key) for key in expected if key != "format"} == {
        key: value for key, value in expected.items() if key != "format"
    }


@each_model
def test_checkpoint(name: str) -> None:
    network, payload = load_network(checkpoint(name), key="checkpoint")
    expected = EXPECTED[name]
    assert_kept(payload.to_dict(), expected["checkpoint"])
    found = TorchPredictor(network, accelerator="cpu")(torch.from_numpy(patterns()).permute(0, 3, 1, 2))
    assert_allclose(found.probability, expected["probability"], atol=1e-5)
    if expected["intensity"] is None:
        assert found.intensity is None
    else:
        assert_allclose(found.intensity, expected["intensity"], atol=1e-5)


@each_model
def test_metadata_of_a_model_file(name: str) -> None:
    contract = OnnxModel(model(name), provider="cpu").contract
    assert_kept(json.loads(contract.to_json()), EXPECTED[name]["model"])


@each_model
def test_predicting_with_a_model_file(name: str) -> None:
    expected = EXPECTED[name]
    with faceflow.load(model(name), "crops=true", "provider=cpu") as predictor:
        rows = predictor.predict(patterns())
    assert [name for name in rows if name in expected["columns"]] == expected["columns"]
    aus = [f"AU{int(au[2:]):02d}" for au in expected["model"]["aus"]]
    probability = np.array(expected["probability"])
    assert_allclose(rows[[f"{au}_prob" for au in aus]].to_numpy(float), probability, atol=1e-5)
    occurs = probability >= list(expected["model"]["thresholds"].values())
    assert 0 < occurs.sum() < occurs.size
    assert rows[aus].to_numpy(int).tolist() == occurs.astype(int).tolist()
    if expected["intensity"] is not None:
        assert_allclose(rows[[f"{au}_int" for au in aus]].to_numpy(float), expected["intensity"], atol=1e-5)


def test_a_checkpoint_and_its_model_file_are_tested_alike(faces: Faces, tmp_path: Path) -> None:
    settings = ("accelerator=cpu", "loader.workers=0", "pictures=false", "bootstrap.resamples=0", *faces.overrides)
    named = {"checkpoint": checkpoint("levels1"), "onnx": model("levels1")}
    outcomes = {key: run("test", tmp_path / key, f"{key}={path}", *settings) for key, path in named.items()}
    assert {key: outcome.code for key, outcome in outcomes.items()} == {"checkpoint": 0, "onnx": 0}
    scores = {key: outcome.table("predictions.csv")["AU12_prob"] for key, outcome in outcomes.items()}
    assert len(scores["onnx"]) == 40
    assert_allclose(scores["checkpoint"], scores["onnx"], atol=1e-5)
