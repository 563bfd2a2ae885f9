"""An exported model in ONNX Runtime: its numbers, where it runs, and files that break their promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from faceflow.config.instantiate import instantiate
from faceflow.errors import ConfigError, ExportError
from faceflow.inference.contract import KEY
from faceflow.inference.onnx_model import OnnxModel, fit
from tests.helpers.exported import colour_graph, contract, intensity_contract, write_model


def pictures(*colours: tuple[int, int, int]) -> Any:
    return np.stack([np.full((16, 16, 3), colour, np.uint8) for colour in colours])


def test_scores_are_in_the_order_of_the_contract(tmp_path: Path) -> None:
    model = OnnxModel(write_model(tmp_path / "m.onnx", intensity_contract()), provider="cpu")
    scores = model.run(pictures((255, 51, 0), (0, 102, 255)))
    assert scores.probability == pytest.approx(np.array([[1, 0.2, 0], [0, 0.4, 1]]))
    assert scores.intensity == pytest.approx(np.array([[5, 1, 0], [0, 2, 5]]))


def test_a_model_of_occurrence_has_no_intensity(tmp_path: Path) -> None:
    model = OnnxModel(write_model(tmp_path / "m.onnx"))
    assert model.run(pictures((0, 0, 0))).intensity is None
    assert model.provider in ("cuda", "coreml", "cpu")
    assert len(model.identity) == 64


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("cpuu", "provider: expected auto, cuda, coreml, cpu, got 'cpuu'; did you mean 'cpu'"),
        pytest.param(
            "cuda",
            r"provider: expected one that is available here \(.*cpu\), got 'cuda'; run: .*onnxruntime-gpu\[",
            marks=pytest.mark.skipif(
                "CUDAExecutionProvider" in ort.get_available_providers(), reason="this ONNX Runtime has CUDA"
            ),
        ),
    ],
)
def test_a_provider_that_is_not_here_is_refused(tmp_path: Path, provider: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OnnxModel(write_model(tmp_path / "m.onnx"), provider=provider)


def test_an_onnx_file_of_others_is_told_how_ours_are_made(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(colour_graph(contract()), str(path))
    with pytest.raises(ExportError, match="an ONNX file without its metadata: .*; make one with faceflow-export"):
        OnnxModel(path)


@pytest.mark.parametrize("changes", [{"image_size": 32}, {"aus": ("AU1", "AU4")}, {"levels": 2, "cutpoints": (2, 4)}])
def test_metadata_that_promise_another_graph_are_refused(tmp_path: Path, changes: Any) -> None:
    other = contract(**{"thresholds": {}, **changes})
    with pytest.raises(ExportError, match="onnx: expected inputs and outputs as in the metadata"):
        OnnxModel(write_model(tmp_path / "m.onnx", metadata=other.to_json()))


def test_a_graph_that_does_not_run_here_is_one_line(tmp_path: Path) -> None:
    model = colour_graph(contract())
    model.graph.node[0].op_type = "NoSuchOperator"
    helper.set_model_props(model, {KEY: contract().to_json()})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ExportError, match="expected an ONNX model that ONNX Runtime .* can open") as caught:
        OnnxModel(path)
    assert "\n" not in str(caught.value)


def test_a_graph_that_fails_on_some_faces_is_one_line(tmp_path: Path) -> None:
    says = contract()
    model = colour_graph(says)
    (share,) = (node for node in model.graph.node if node.output[0] == says.outputs[0])
    share.output[0] = "two"
    model.graph.initializer.append(helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [2, len(says.aus)]))
    model.graph.node.append(helper.make_node("Reshape", ["two", "shape"], [says.outputs[0]]))
    helper.set_model_props(model, {KEY: says.to_json()})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    opened = OnnxModel(path, provider="cpu")
    opened.run(pictures((0, 0, 0), (0, 0, 0)))
    with pytest.raises(ExportError, match="onnx: expected a model that runs on cpu, got .*; lower batch") as caught:
        opened.run(pictures((0, 0, 0)))
    assert "\n" not in str(caught.value)


def test_nothing_but_rows_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime prints there when it tries again on another provider."""
    model = colour_graph(contract())
    model.graph.node[0].op_type = "NoSuchOperator"
    helper.set_model_props(model, {KEY: contract().to_json()})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString().replace(b"NoSuchOperator", b"NoSuch\xffperator"))
    with pytest.raises(ExportError, match="can open"):
        OnnxModel(path)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_work_is_reported_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_model(tmp_path / "m.onnx")
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CoreMLExecutionProvider", "CPUExecutionProvider"])
    if "CoreMLExecutionProvider" in OnnxModel(path)._session.get_providers():
        pytest.skip("this ONNX Runtime has CoreML")
    line = "provider: expected coreml to work, got libraries or a device that fail"
    assert OnnxModel(path).provider == "cpu"
    assert caplog.messages[-1].startswith(line)
    with pytest.raises(ConfigError, match=line):
        OnnxModel(path, provider="coreml")


@pytest.mark.parametrize("shape", [(80, 80), (224, 224), (97, 180), (40, 33)])
def test_images_are_resized_as_in_validation(shape: tuple[int, int]) -> None:
    yaml = {"_target_": "albumentations.Resize", "height": 80, "width": 80, "interpolation": 3, "p": 1.0}
    text = (Path(__file__).parents[3] / "configs/transforms/eval.yaml").read_text("utf-8")
    assert "albumentations.Resize" in text
    assert "interpolation: 3" in text
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert np.array_equal(fit(image, 80), instantiate(yaml, key="resize")(image=image)["image"])
