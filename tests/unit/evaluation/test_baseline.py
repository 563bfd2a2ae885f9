"""A baseline is scored on the AUs it shares with a model, and unfair conditions are reported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import build_pipeline
from faceflow.errors import ConfigError, DataError, ExportError
from faceflow.evaluation.baseline import Baseline, check_baseline, open_baseline, score_baseline
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from tests.helpers.exported import CROP, contract, feature_contract, write_model
from tests.helpers.markers import write_photo
from tests.helpers.networks import label_table, network_spec

NAN = np.nan
LOADING = Loading(batch_size=2, workers=0, timeout_s=0)
COLOURS = [(255, 0, 51), (102, 0, 204), (51, 0, 153)]  # RGB; AU1 is read from red, AU12_L from blue


def opened(path: Path) -> Baseline:
    def resize(pixels: int) -> Any:
        step = {"_target_": "albumentations.Resize", "height": pixels, "width": pixels, "p": 1.0}
        return build_pipeline({"resize": step}, key="transforms.eval")

    return open_baseline(str(path), pipeline=resize)


def cropped(folder: Path, **recipe: Any) -> FaceTable:
    """Crops of one colour each; AU1 occurs in the first two."""
    files = [write_photo(folder / f"crops/{n}.png", np.full((20, 20, 3), c, np.uint8)) for n, c in enumerate(COLOURS)]
    (folder / "crops.json").write_text(json.dumps({**CROP, **recipe}), "utf-8")
    table = label_table("mine", {"AU1": [5.0, 2.0, 0.0], "AU25": [0.0, 5.0, 5.0]})
    return dataclasses.replace(table, files=np.array([str(file) for file in files]))


def scores_on(table: FaceTable) -> TestScores:
    spec = network_spec(aus=("AU1", "AU25"))
    prediction = Prediction(probability=np.array([[0.9, 0.1], [0.4, 0.9], [0.6, 0.8]]), intensity=None)
    scorer = SplitScorer([table], spec)
    evaluations = scorer.score(np.arange(3), prediction, {"AU1": 0.3})
    return TestScores(tables=[table], scorer=scorer, evaluations=evaluations, prediction=prediction)


def test_it_is_scored_on_shared_aus_at_its_own_thresholds(tmp_path: Path) -> None:
    scores, baseline = scores_on(cropped(tmp_path)), opened(write_model(tmp_path / "colours.onnx"))
    found = score_baseline(baseline, scores, loading=LOADING, bootstrap=None)
    (evaluation,) = found.evaluations.values()
    assert (found.name, evaluation.aus) == ("colours.onnx", ("AU1",))
    # Reds of 1, 0.4 and 0.2 at 0.25, which the file says: the two that occur. The model itself has a false alarm.
    assert evaluation.columns["threshold_val"].tolist() == [0.25]
    assert evaluation.columns["f1_val"].tolist() == [1.0]
    says = found.to_dict(scores.evaluations)
    assert says["test"]["mine"]["per_au"]["AU1"]["recall_0.5"] == 0.5
    assert says["same_aus"]["mine"]["f1_val"] == {"tested": pytest.approx(0.8), "baseline": 1.0, "aus": 1}
    assert len(says["sha256"]) == 64


def test_the_protocol_says_what_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, spec = cropped(tmp_path), network_spec(aus=("AU1",))
    baseline = opened(write_model(tmp_path / "m.onnx"))
    says = "on the same faces, at the thresholds stored in its file"
    unknown = "its training faces are not known"
    assert check_baseline(baseline, spec, [table]) == {"baseline": f"m.onnx ({unknown}), {says}"}
    built_in = dataclasses.replace(baseline, name="built_in")
    said = check_baseline(built_in, spec, [table])["baseline"]
    assert said == f"built_in (the built-in model, trained on rendered faces alone), {says}"
    assert caplog.messages == []


def test_crops_of_another_size_are_alike_and_those_of_another_place_are_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    baseline, spec = opened(write_model(tmp_path / "m.onnx")), network_spec(aus=("AU1",))
    larger = cropped(tmp_path / "larger", align={**CROP["align"], "size": 224, "interpolation": "area"})
    assert check_baseline(baseline, spec, [larger])
    assert caplog.messages == []
    closer = cropped(tmp_path / "closer", align={**CROP["align"], "eye_distance": 0.5})
    said = check_baseline(baseline, spec, [closer])["baseline"]
    reason = (
        "mine: crops are cut differently from those that the baseline was trained on (eye_distance=0.5 instead of 0.3)"
    )
    assert said.endswith(reason)
    assert caplog.messages == [f"baseline: its scores may be too low: {reason}"]
    from_elsewhere = label_table("faces", {"AU1": [0.0, 5.0]})
    assert (
        "faces: crops may be cut differently from those" in check_baseline(baseline, spec, [from_elsewhere])["baseline"]
    )


def test_one_that_reads_features_needs_no_recipe_but_features(tmp_path: Path) -> None:
    baseline = opened(write_model(tmp_path / "m.onnx", feature_contract()))
    with pytest.raises(DataError) as caught:
        check_baseline(baseline, network_spec(aus=("AU1",)), [cropped(tmp_path)])
    assert str(caught.value) == (
        f"baseline: expected features of every face, got none for '{tmp_path}/crops/0.png'; crop the images (those of "
        "faceflow-render too) with: faceflow-crop "
        "detector=mediapipe_landmarks, or use baseline=FILE.onnx, a model that reads pixels alone"
    )


def test_models_without_an_au_in_common_are_refused(tmp_path: Path) -> None:
    baseline = opened(write_model(tmp_path / "m.onnx", contract(aus=("AU2", "AU4", "AU6"), thresholds={})))
    with pytest.raises(ConfigError, match=r"^baseline: expected a model with a tested AU \(AU1\), got one with AU2"):
        check_baseline(baseline, network_spec(aus=("AU1",)), [cropped(tmp_path)])


def test_a_file_that_is_none_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^baseline: expected an ONNX model, got '.*none\.onnx': no such file"):
        opened(tmp_path / "none.onnx")
    with pytest.raises(ConfigError, match=r"^baseline: expected built_in, or a file .*; did you mean 'built_in'\?$"):
        opened(Path("builtin"))
