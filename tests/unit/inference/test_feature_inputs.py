"""Models that read features of faces: what they take, and what is said where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import faceflow
from faceflow.errors import ConfigError, ExportError
from faceflow.evaluation.predictors import OnnxPredictor
from faceflow.inference.contract import ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.recipe import check_detector
from tests.helpers.exported import colour_graph, contract, feature_contract, write_model
from tests.helpers.features import feature_spec, random_vectors
from tests.helpers.markers import MARKERS, MarkerDetector, blank, draw_face

WITH_FEATURES = (*MARKERS, "+detector.features=true")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "points.onnx", feature_contract())


def test_a_batch_of_features_is_scored_without_images(model: Path) -> None:
    vectors = random_vectors(3)
    scores = OnnxModel(model, provider="cpu").run(None, vectors)
    np.testing.assert_allclose(scores.probability, vectors[:, :3] / 1000, rtol=1e-6)


def test_the_spec_of_the_network_comes_back_from_the_file(model: Path) -> None:
    spec = OnnxPredictor(OnnxModel(model, provider="cpu")).spec
    assert (spec.backbone, spec.inputs) == (None, ("features",))
    assert spec.features == feature_spec("landmarks")


def test_a_file_from_before_reads_images_and_a_new_one_of_pixels_still_has_the_old_format() -> None:
    raw = json.loads(contract().to_json())
    assert raw["format"] == 1
    older = {key: value for key, value in raw.items() if key not in ("inputs", "features", "fusion")}
    found = ModelContract.from_json(json.dumps(older), source="m.onnx")
    assert found.inputs == ("images",)
    assert found == contract()
    assert json.loads(feature_contract().to_json())["format"] == 2


@pytest.mark.parametrize(
    "values",
    [{"inputs": ("sound",)}, {"inputs": ()}, {"inputs": ("images",)}, {"features": 3}],
    ids=["unknown", "none", "no backbone", "no mapping"],
)
def test_inputs_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    raw = json.loads(feature_contract().to_json()) | values
    with pytest.raises(ExportError, match=r"^m.onnx: expected metadata that fits together"):
        ModelContract.from_json(json.dumps(raw), source="m.onnx")


def test_a_graph_with_other_inputs_than_promised_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graph = colour_graph(contract())
    onnx.helper.set_model_props(graph, {"faceflow": feature_contract().to_json()})
    onnx.save(graph, str(path))
    with pytest.raises(ExportError, match="^onnx: expected the inputs and outputs that the metadata promise"):
        OnnxModel(path, provider="cpu")


def test_features_of_the_detector_reach_the_model(model: Path) -> None:
    image = draw_face(blank(120, 160), (60.0, 50.0), (90.0, 50.0))
    (found,) = MarkerDetector(features=True).detect(image)
    assert found.features is not None
    with faceflow.load(model, *WITH_FEATURES) as predictor:
        rows = predictor.predict([image, blank(120, 160)])
    assert rows["status"].tolist() == ["ok", "no_face"]
    expected = found.features.vector()[:3] / 1000
    np.testing.assert_allclose(
        rows.loc[0, ["AU01_prob", "AU04_prob", "AU12_L_prob"]].astype(float), expected, rtol=1e-5
    )
    assert rows["AU01_prob"].isna().tolist() == [False, True]


def test_crops_have_no_features_to_read(model: Path) -> None:
    with pytest.raises(ConfigError, match="^crops: expected false with a model that reads features of faces"):
        faceflow.load(model, "crops=true")


def test_a_detector_without_features_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="^detector: expected one with features of faces, .*, got markers without"):
        check_detector(feature_contract(), MarkerDetector(), same=False)
    check_detector(feature_contract(), MarkerDetector(features=True), same=True)
    check_detector(contract(), MarkerDetector(), same=True)
