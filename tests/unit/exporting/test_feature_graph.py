"""Networks that read features as ONNX files."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from faceflow.errors import ConfigError
from faceflow.exporting.conversion import convert
from faceflow.exporting.export_settings import ExportSettings
from faceflow.exporting.graph import build_graph, write_model
from faceflow.exporting.parity import check_parity, largest_difference, random_faces
from faceflow.exporting.quantization import FP16, FP16_STORED, INT8, INT8_STORED, PRECISIONS, reduced
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.network import AUNetwork
from tests.helpers.features import feature_spec, pixel_free, random_vectors
from tests.helpers.networks import network_spec
from tests.unit.exporting.test_conversion import measuring
from tests.unit.exporting.test_graph import contract


def network(*, pixels: bool) -> AUNetwork:
    """A network of features; with pixels they weigh nothing, so that only the others can differ."""
    torch.manual_seed(0)
    values = {"features": feature_spec(), "fusion": 0.0} if pixels else pixel_free()
    net = AUNetwork(network_spec(levels=3, **values))
    net.fit(torch.from_numpy(random_vectors(20)))
    with torch.no_grad():
        for head in net.heads.values():
            torch.nn.init.normal_(head.linear.weight, std=0.3)
    return net.eval()


@pytest.fixture(scope="module")
def fused() -> tuple[AUNetwork, onnx.ModelProto]:
    net = network(pixels=True)
    return net, build_graph(net, simplify=True)


@pytest.mark.slow
def test_the_file_takes_what_the_network_takes_and_says_the_same(tmp_path: Path) -> None:
    net, path = network(pixels=False), tmp_path / "m.onnx"
    write_model(path, build_graph(net, simplify=True), contract(net.spec))
    assert check_parity(net, OnnxModel(path, provider="cpu"), {"random": random_faces(net.spec)}) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_computes_what_reads_features_in_full(
    precision: str, fused: tuple[AUNetwork, onnx.ModelProto], tmp_path: Path
) -> None:
    net, graph = fused
    path, faces = tmp_path / "m.onnx", random_faces(net.spec)
    write_model(path, reduced(graph, precision, faces=faces), contract(net.spec))
    # One averages the logits of both in half precision, the other stores the weights of both in it.
    allowed = {FP16: 1e-2, FP16_STORED: 5e-3, INT8_STORED: 5e-3}.get(precision, 1e-5)
    assert largest_difference(net, OnnxModel(path, provider="cpu"), faces) < allowed


def test_a_small_network_of_features_is_not_reduced(tmp_path: Path) -> None:
    net = network(pixels=False)
    settings = ExportSettings(precision=INT8, max_drop=None, max_drop_au=None, calibration=1, simplify=True)
    with pytest.raises(ConfigError, match="^precision: expected fp32, fp16_stored, int8_stored for a model that reads"):
        convert(net, contract(net.spec), tmp_path / "m.onnx", settings, samples={}, faces=None, measuring=measuring())
    assert list(tmp_path.iterdir()) == []
