from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faceflow.errors import ConfigError
from faceflow.evaluation.predictors import OnnxPredictor, TorchPredictor, open_predictor
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.checkpoint import PAYLOAD, Payload
from faceflow.models.network import AUNetwork, NetworkSpec
from tests.helpers.exported import contract, write_model
from tests.helpers.networks import network_spec, random_images


def save(path: Path, spec: NetworkSpec, **changes: Any) -> str:
    payload = Payload(spec=spec, protocol={"split": "by subject"}, seen=["mine/p"], config={}, versions={}, **changes)
    state = {f"network.{name}": value for name, value in AUNetwork(spec).state_dict().items()}
    torch.save({"state_dict": state, PAYLOAD: payload.to_dict()}, path)
    return str(path)


def test_torch_predicts_the_probability_of_the_networks_logits() -> None:
    network, images = AUNetwork(network_spec()).eval(), random_images(3)
    with torch.no_grad():
        expected = network(images).logits.sigmoid()[:, :, 0]
    found = TorchPredictor(network, accelerator="cpu")(images)
    np.testing.assert_allclose(found.probability, expected, rtol=1e-6)
    assert found.intensity is None


def test_onnx_predicts_what_its_graph_says_of_rgb_images(tmp_path: Path) -> None:
    model = OnnxModel(write_model(tmp_path / "model.onnx"), provider="cpu", threads=1)
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    images[0, 0], images[1, 2] = 255, 51  # red; a fifth of blue
    predictor = OnnxPredictor(model)
    np.testing.assert_allclose(predictor(images).probability, [[1, 0, 0], [0, 0, 0.2]], atol=1e-6)
    assert predictor.spec.aus == ("AU1", "AU4", "AU12_L")


def test_a_file_without_its_checkpoint_brings_its_own_thresholds_and_nobody_seen(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.onnx", contract(thresholds={"AU1": 0.25}, protocol={}))
    _, payload = open_predictor(None, str(path), accelerator="cpu")
    assert (payload.thresholds, payload.seen, payload.protocol) == ({"AU1": 0.25}, [], {"split": "unknown"})


def test_a_checkpoint_brings_its_network_thresholds_and_subjects(tmp_path: Path) -> None:
    path = save(tmp_path / "best.ckpt", network_spec(), thresholds={"AU1": 0.3})
    predictor, payload = open_predictor(path, None, accelerator="cpu")
    assert predictor.spec == network_spec()
    assert (payload.thresholds, payload.seen) == ({"AU1": 0.3}, ["mine/p"])


def test_a_file_of_another_network_than_the_checkpoint_is_refused(tmp_path: Path) -> None:
    path, model = save(tmp_path / "best.ckpt", network_spec()), write_model(tmp_path / "model.onnx")
    with pytest.raises(
        ConfigError, match=r"onnx: expected a model exported from '.*best.ckpt', got one with another aus"
    ):
        open_predictor(path, str(model), accelerator="cpu")


def test_a_file_that_cannot_be_tested_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoint: expected a value, got none"):
        open_predictor(None, None, accelerator="cpu")
    with pytest.raises(ConfigError, match="accelerator: expected .*auto, cpu.*, got 'tpus'"):
        open_predictor(None, str(write_model(tmp_path / "model.onnx")), accelerator="tpus")
    with pytest.raises(ConfigError, match="accelerator: .*; use auto, cpu or gpu"):
        TorchPredictor(AUNetwork(network_spec()), accelerator="abacus")
