"""Models that read face features: their inputs, and the error if there are no features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import faceflow
from faceflow.errors import ConfigError, DataError, ExportError
from faceflow.evaluation.predictors import OnnxPredictor
from faceflow.inference.contract import ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.recipe import check_detector
from tests.helpers.exported import colour_graph, contract, feature_contract, write_model
from tests.helpers.faces import smooth_image, write_image
from tests.helpers.features import feature_spec, give_features, random_vectors
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
def test_invalid_inputs_are_refused(values: dict[str, Any]) -> None:
    raw = json.loads(feature_contract().to_json()) | values
    with pytest.raises(ExportError, match=r"^m.onnx: expected consistent metadata"):
        ModelContract.from_json(json.dumps(raw), source="m.onnx")


def test_a_graph_with_other_inputs_than_promised_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graph = colour_graph(contract())
    onnx.helper.set_model_props(graph, {"faceflow": feature_contract().to_json()})
    onnx.save(graph, str(path))
    with pytest.raises(ExportError, match="^onnx: expected inputs and outputs as in the metadata"):
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


def test_features_of_crops_are_those_beside_them(model: Path, tmp_path: Path) -> None:
    crops = [tmp_path / f"faces/crops/{name}" for name in ("anna/1.png", "anna/2.png", "ben.png")]
    rng = np.random.default_rng(0)
    for crop in crops:
        crop.parent.mkdir(parents=True, exist_ok=True)
        write_image(crop, smooth_image(rng, 16))
    vectors = random_vectors(3)
    give_features(tmp_path / "faces", crops, vectors)
    with faceflow.load(model, crops=True) as predictor:
        rows = predictor.predict(tmp_path / "faces/crops").set_index("file")
        found = rows.loc[[str(crop) for crop in crops], ["AU01_prob", "AU04_prob", "AU12_L_prob"]]
        np.testing.assert_allclose(found.astype(float), vectors[:, :3] / 1000, atol=2e-5)

        write_image(crops[1], smooth_image(rng, 16))
        with pytest.raises(DataError, match=r"^source: expected features of '.*2.png', got those of another image"):
            predictor.predict(tmp_path / "faces/crops/anna")
        (tmp_path / "faces/crops/ben.png").rename(tmp_path / "faces/crops/carl.png")
        with pytest.raises(DataError, match=r"^source: expected features of every crop, .*, got none for '.*carl.png'"):
            predictor.predict(tmp_path / "faces/crops/carl.png")
        with pytest.raises(DataError, match="^source: expected crop files .* got arrays"):
            predictor.predict(blank(16, 16))


def test_one_neutral_crop_has_no_features(model: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "rest.png", blank(16, 16))
    with pytest.raises(ConfigError, match="^calibrate: expected none or median with crops=true"):
        faceflow.load(model, crops=True, calibrate=tmp_path / "rest.png")


def test_a_detector_without_features_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="^detector: expected one that gives face features, .*, got markers without"):
        check_detector(feature_contract(), MarkerDetector(), same=False)
    check_detector(feature_contract(), MarkerDetector(features=True), same=True)
    check_detector(contract(), MarkerDetector(), same=True)
