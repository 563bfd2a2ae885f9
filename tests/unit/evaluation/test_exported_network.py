"""The network of an exported model is restored in torch from the file's metadata and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.evaluation.exported_network import read_exported
from faceflow.exporting.graph import build_graph
from faceflow.exporting.quantization import INT8_STORED, reduced
from faceflow.inference.contract import KEY, WEIGHTS
from faceflow.models.network import AUNetwork, NetworkSpec
from tests.helpers.exported import COLOURS, contract, feature_contract, write_model
from tests.helpers.features import pixel_free
from tests.helpers.networks import network_spec

PIXELS = network_spec(aus=COLOURS, image_size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
POINTS = network_spec(aus=COLOURS, image_size=16, **pixel_free("landmarks"))
SAYS = {PIXELS: contract(image_size=32), POINTS: feature_contract()}


def weights(spec: NetworkSpec) -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = AUNetwork(spec).state_dict()
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def exported(path: Path, spec: NetworkSpec, given: dict[str, Tensor]) -> Path:
    """A file with these weights by name; matrices are stored in half precision."""
    model = onnx.load(write_model(path, SAYS[spec]))
    for name, tensor in given.items():
        values = tensor.numpy().astype(np.float16 if tensor.ndim > 1 else np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, WEIGHTS + name))
    onnx.save(model, path)
    return path


@pytest.mark.slow
def test_weights_in_bytes_come_back_within_half_a_step(tmp_path: Path) -> None:
    given, path = weights(PIXELS), tmp_path / "m.onnx"
    torch.manual_seed(0)
    network = AUNetwork(PIXELS).eval()
    network.load_state_dict(given, strict=False)
    model = reduced(build_graph(network, simplify=False), INT8_STORED, faces=None)
    onnx.helper.set_model_props(model, {KEY: SAYS[PIXELS].to_json()})
    onnx.save(model, path)
    _, found = read_exported(path, key="init_weights")
    in_bytes = 0
    for name, tensor in given.items():
        if tensor.ndim == 4:
            step = tensor.flatten(1).abs().amax(dim=1)[:, None, None, None] / 127
            assert ((found[name] - tensor).abs() <= step / 2 + 1e-7).all()
            in_bytes += not torch.equal(found[name], tensor.half().float())
        else:
            assert torch.equal(found[name], tensor.half().float() if tensor.ndim > 1 else tensor)
    assert in_bytes > 3


@pytest.mark.parametrize("spec", [PIXELS, POINTS], ids=["pixels", "points"])
def test_spec_and_weights_come_back_and_fit_a_network(spec: NetworkSpec, tmp_path: Path) -> None:
    given = weights(spec)
    payload, found = read_exported(exported(tmp_path / "m.onnx", spec, given), key="init_weights")
    assert payload.spec == spec
    assert payload.thresholds == contract().thresholds
    AUNetwork(payload.spec).load_state_dict(found, strict=True)
    for name, tensor in given.items():
        stored = tensor.half() if tensor.ndim > 1 else tensor
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], stored.float())


@pytest.mark.parametrize("shape", [None, (2, 2)])
def test_a_file_that_does_not_keep_its_weights_says_how_to_export_it(
    shape: tuple[int, int] | None, tmp_path: Path
) -> None:
    given = weights(POINTS)
    del given["branches.landmarks.basis"]
    if shape:
        given["branches.landmarks.basis"] = torch.zeros(shape)
    path = exported(tmp_path / "m.onnx", POINTS, given)
    with pytest.raises(CheckpointError) as caught:
        read_exported(path, key="init_weights")
    assert str(caught.value) == (
        f"init_weights: expected an exported model that keeps its weights, got '{path}' without 1 of "
        f"{len(weights(POINTS))}, such as branches.landmarks.basis; export it again with precision=fp16_stored or "
        "simplify=false"
    )
