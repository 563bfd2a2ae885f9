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
from faceflow.inference.session import OnnxModel, fit
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
            r"provider: expected one that is available here \(.*cpu\), got 'cuda'; pip install onnxruntime-gpu",
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
    with pytest.raises(ExportError, match="onnx: expected the inputs and outputs that the metadata promise"):
        OnnxModel(write_model(tmp_path / "m.onnx", metadata=other.to_json()))


def test_a_graph_that_does_not_run_here_is_one_line(tmp_path: Path) -> None:
    model = colour_graph(contract())
    model.graph.node[0].op_type = "NoSuchOperator"
    helper.set_model_props(model, {KEY: contract().to_json()})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ExportError, match="expected a model that ONNX Runtime .* can open") as caught:
        OnnxModel(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(80, 80), (224, 224), (97, 180), (40, 33)])
def test_images_are_resized_as_in_validation(shape: tuple[int, int]) -> None:
    yaml = {"_target_": "albumentations.Resize", "height": 80, "width": 80, "interpolation": 3, "p": 1.0}
    text = (Path(__file__).parents[3] / "configs/transforms/eval.yaml").read_text("utf-8")
    assert "albumentations.Resize" in text
    assert "interpolation: 3" in text
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert np.array_equal(fit(image, 80), instantiate(yaml, key="resize")(image=image)["image"])
