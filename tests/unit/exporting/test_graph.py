"""An exported graph gives the outputs of its network and describes itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from faceflow.errors import ExportError
from faceflow.exporting.graph import build_graph, write_model
from faceflow.exporting.parity import largest_difference, random_faces
from faceflow.exporting.quantization import FP16, FP16_STORED, FP32, INT8, INT8_STATIC, INT8_STORED, reduced
from faceflow.exporting.sample_faces import Sample
from faceflow.images import Image
from faceflow.inference.contract import KEY, WEIGHTS, ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.metrics.au_scores import decode
from faceflow.models.network import AUNetwork, NetworkSpec
from tests.helpers.calibration import calibration_of
from tests.helpers.networks import network_spec

SIZE = 32


def network(levels: int, **changes: object) -> AUNetwork:
    """Network whose outputs differ between pictures, and whose levels contradict each other."""
    torch.manual_seed(levels)
    built = AUNetwork(network_spec(levels=levels, image_size=SIZE, **changes))
    nn.init.normal_(built.head.linear.weight, std=0.3)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm begins residual branches at zero
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return built.eval()


def contract(spec: NetworkSpec) -> ModelContract:
    return ModelContract(
        aus=spec.aus,
        levels=spec.levels,
        cutpoints=spec.cutpoints,
        occurrence_min=spec.occurrence_min,
        label_meaning="probability: that the AU occurs — or not",
        thresholds={"AU1": 0.25},
        image_size=spec.image_size,
        mean=spec.mean,
        std=spec.std,
        crop={"align": {"preset": "eyes"}},
        backbone=spec.backbone,
        inputs=spec.inputs,
        precision=FP32,
        run={"id": "r1", "faceflow": "0.1.0"},
        training_data={"faces": "47e2"},
        metrics={"f1_val": 0.5},
        protocol={"split": "by subject"},
        licence="none",
    )


NETWORKS = {1: network(1), 3: network(3, cutpoints=(1.0, 2.5, 4.0), occurrence_min=2.0)}
GRAPHS: dict[int, onnx.ModelProto] = {}


def graph(levels: int) -> onnx.ModelProto:
    """Exported once, copied for each test."""
    if levels not in GRAPHS:
        GRAPHS[levels] = build_graph(NETWORKS[levels], simplify=True)
    copy = onnx.ModelProto()
    copy.CopyFrom(GRAPHS[levels])
    return copy


def written(folder: Path, levels: int) -> Path:
    path = folder / "model.onnx"
    write_model(path, graph(levels), contract(NETWORKS[levels].spec))
    return path


def noise() -> Image:
    images = random_faces(NETWORKS[1].spec).images
    assert images is not None
    return images


@pytest.mark.slow
@pytest.mark.parametrize("levels", NETWORKS)
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_outputs_are_the_decoded_ones_of_torch_for_every_batch_size(tmp_path: Path, levels: int, rows: int) -> None:
    images = noise()[:rows]
    net = NETWORKS[levels]
    with torch.inference_mode():
        logits = net(torch.from_numpy(images).permute(0, 3, 1, 2)).logits
    expected = decode(torch.sigmoid(logits.double()).numpy(), net.spec.cutpoints, net.spec.occurrence_min)
    session = ort.InferenceSession(written(tmp_path, levels), providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": images})
    assert [output.name for output in session.get_outputs()] == ["probability", "intensity"][: len(found)]
    np.testing.assert_allclose(found[0], expected.probability, atol=1e-5)
    assert (expected.intensity is None) == (len(found) == 1)
    if expected.intensity is not None:
        np.testing.assert_allclose(found[1], expected.intensity, atol=1e-5)
        assert (np.diff(logits.numpy(), axis=-1) > 0).any()  # levels that had to be made consistent


@pytest.mark.slow
def test_cutpoints_and_occurrence_rule_of_the_network_are_in_the_graph(tmp_path: Path) -> None:
    net = NETWORKS[3]
    images = noise()[:3]
    with torch.inference_mode():
        p = net(torch.from_numpy(images).permute(0, 3, 1, 2)).logits.sigmoid().numpy()
    low = np.minimum.accumulate(p, axis=-1)
    scores = OnnxModel(written(tmp_path, 3), provider="cpu").run(images)
    np.testing.assert_allclose(scores.probability, low[..., 1], atol=1e-5)  # 2.5, the first at or above 2
    assert scores.intensity is not None
    np.testing.assert_allclose(scores.intensity, low @ np.array([1.0, 1.5, 1.5]), atol=1e-5)


@pytest.mark.slow
def test_metadata_comes_back_and_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    assert OnnxModel(path, provider="cpu").contract == contract(NETWORKS[1].spec)
    stored = onnx.load(path)
    assert [entry.key for entry in stored.metadata_props] == [KEY]
    assert str(Path(torch.__file__).parent).encode() not in path.read_bytes()
    assert b".py" not in path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
    onnx.checker.check_model(stored)


@pytest.mark.slow
def test_graph_that_is_not_simplified_says_the_same_and_keeps_the_weights_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    plain = build_graph(NETWORKS[3], simplify=False)
    write_model(path, plain, contract(NETWORKS[3].spec))
    assert len(plain.graph.node) > len(graph(3).graph.node)
    assert largest_difference(NETWORKS[3], OnnxModel(path, provider="cpu"), random_faces(NETWORKS[3].spec)) < 1e-5
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in plain.graph.initializer}
    for name, tensor in NETWORKS[3].state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(found[WEIGHTS + name], tensor.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("precision", [FP32, FP16_STORED, INT8_STORED])
def test_onnx_runtime_fuses_what_is_not_simplified_when_it_opens_the_file(tmp_path: Path, precision: str) -> None:
    costly = ("BatchNormalization", "Conv", "Gemm", "MatMul", "Pad", "Expand", "Relu", "Clip")

    def operators(model: onnx.ModelProto) -> list[str]:
        path, options = tmp_path / "opened.onnx", ort.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 3
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return sorted(node.op_type for node in onnx.load(path).graph.node if node.op_type in costly)

    kept = reduced(build_graph(NETWORKS[3], simplify=False), precision, faces=None)
    assert "BatchNormalization" in {node.op_type for node in kept.graph.node}
    assert operators(kept) == operators(graph(3))


def test_difference_is_seen_where_file_and_network_differ(tmp_path: Path) -> None:
    model = OnnxModel(written(tmp_path, 1), provider="cpu")
    assert largest_difference(NETWORKS[1], model, random_faces(NETWORKS[3].spec)) < 1e-5
    other = network(1)
    with torch.no_grad():
        other.head.linear.bias += torch.tensor([0.0, 0.1])
    images = noise()
    with torch.inference_mode():
        p, q = (n(torch.from_numpy(images).permute(0, 3, 1, 2)).logits.sigmoid() for n in (NETWORKS[1], other))
    assert largest_difference(other, model, Sample(images)) == pytest.approx(float((p - q).abs().max()), abs=1e-6)
    with torch.no_grad():
        other.head.linear.bias[1] = torch.nan
    assert largest_difference(other, model, Sample(images)) == float("inf")


@pytest.mark.parametrize(
    ("precision", "share", "near"),
    [
        pytest.param(FP16, 0.55, 0.01, marks=pytest.mark.slow),
        (FP16_STORED, 0.6, 0.005),
        (INT8_STORED, 0.4, 0.1),
        (INT8, 0.3, 0.1),
        (INT8_STATIC, 0.3, 0.2),
    ],
)
def test_lower_precision_is_smaller_and_near(tmp_path: Path, precision: str, share: float, near: float) -> None:
    path = tmp_path / "model.onnx"
    full = written(tmp_path, 3).stat().st_size
    single = graph(3)
    write_model(path, reduced(single, precision, faces=random_faces(NETWORKS[3].spec)), contract(NETWORKS[3].spec))
    assert single == graph(3)  # the argument is not changed
    assert path.stat().st_size < share * full
    difference = largest_difference(NETWORKS[3], OnnxModel(path, provider="cpu"), random_faces(NETWORKS[3].spec))
    assert 0 < difference < near


@pytest.mark.slow
def test_int8_computes_linear_layers_in_integers_and_stores_convolutions_in_them(tmp_path: Path) -> None:
    low = reduced(graph(3), INT8, faces=None)
    operators = [node.op_type for node in low.graph.node]
    assert "MatMulInteger" in operators
    assert not {"ConvInteger", "MatMul", "Gemm"} & set(operators)
    full = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph(3).graph.initializer}
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in low.graph.initializer}
    names = {node.input[1] for node in graph(3).graph.node if node.op_type == "Conv"}
    assert names
    for name in names:
        assert name not in stored
        assert stored[f"{name}_bytes"].dtype == np.int8
        scale = stored[f"{name}_scale"]
        assert np.abs(stored[f"{name}_bytes"] * scale - full[name]).max() <= scale.max() * 0.5001
        np.testing.assert_allclose(scale.ravel() * 127, np.abs(full[name]).reshape(len(scale), -1).max(1), rtol=1e-6)


@pytest.mark.slow
def test_network_that_torch_cannot_export_is_named_in_one_line() -> None:
    net = network(1)

    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)  # no operators of ONNX give it

    net.head.norm = Bessel()
    with pytest.raises(ExportError) as caught:
        build_graph(net, simplify=True)
    assert str(caught.value).startswith("model.backbone: expected a network that torch ")
    assert "got test_resnet (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_network_that_does_not_fit_into_one_file_is_refused_before_the_work() -> None:
    with torch.device("meta"):  # sizes without memory
        net = AUNetwork(network_spec(backbone="vit_giant_patch14_dinov2", image_size=56))
    with pytest.raises(ExportError, match=r"^model.backbone: expected weights below 2 GB, .* got 4.5 GB of vit_giant"):
        build_graph(net, simplify=True)


@pytest.mark.parametrize(
    ("levels", "precision"),
    [
        (3, FP32),
        *(
            pytest.param(levels, precision, marks=pytest.mark.release)
            for levels in (1, 3)
            for precision in (FP32, FP16, FP16_STORED)
            if (levels, precision) != (3, FP32)
        ),
    ],
)
def test_calibration_is_inside_the_file(levels: int, precision: str, tmp_path: Path) -> None:
    net, plain = NETWORKS[levels], NETWORKS[levels].spec
    faces = random_faces(plain)
    outputs = []
    for calibration in (None, calibration_of(plain.aus)):
        net.calibration = calibration
        try:
            model = reduced(build_graph(net, simplify=precision == FP32), precision, faces=None)
            path = tmp_path / "model.onnx"
            write_model(path, model, dataclasses.replace(contract(plain), calibration=calibration))
            opened = OnnxModel(path, provider="cpu")
            assert largest_difference(net, opened, faces) < (1e-5 if precision == FP32 else 0.05)
        finally:
            net.calibration = None
        outputs.append(opened.run(*faces))
        assert opened.contract.calibration == calibration
    raw, calibrated = outputs
    expected = calibration_of(plain.aus).apply(raw.probability, plain.aus)
    np.testing.assert_allclose(calibrated.probability, expected, atol=1e-5 if precision == FP32 else 2e-3)
    if raw.intensity is not None:
        np.testing.assert_allclose(calibrated.intensity, raw.intensity, atol=1e-6)


@pytest.mark.parametrize("simplify", [pytest.param(True, marks=pytest.mark.slow), False])
def test_calibrated_levels_are_inside_the_file(simplify: bool, tmp_path: Path) -> None:
    net, faces = NETWORKS[3], random_faces(NETWORKS[3].spec)
    calibration = calibration_of(net.spec.aus, levels=3)
    net.calibration = calibration
    try:
        says = dataclasses.replace(contract(net.spec), calibration=calibration)
        write_model(tmp_path / "model.onnx", build_graph(net, simplify=simplify), says)
        opened = OnnxModel(tmp_path / "model.onnx", provider="cpu")
        assert largest_difference(net, opened, faces) < 1e-5
    finally:
        net.calibration = None
    with torch.inference_mode():
        logits = net(torch.from_numpy(faces[0]).permute(0, 3, 1, 2)).logits.double().numpy()
    levels = 1 / (1 + np.exp(-(2 * logits - np.arange(3))))
    steps = np.diff(net.spec.cutpoints, prepend=0.0)
    expected = np.minimum.accumulate(levels, axis=-1) @ steps
    np.testing.assert_allclose(opened.run(*faces).intensity, expected, atol=1e-4)
    assert opened.contract.calibration == calibration
