"""The card of the built-in models: from their stored scores, in the format of the Hub."""

from __future__ import annotations

import json
from pathlib import Path

import model_card
import pandas as pd
import pytest
from huggingface_hub import ModelCard

from faceflow.built_in.models import CARD

FACES = Path("tests/data/rendered_faces")


def test_the_card_that_is_shipped_is_that_of_the_stored_scores(tmp_path: Path) -> None:
    model_card.main(["--output", str(tmp_path / "README.md")])
    assert (tmp_path / "README.md").read_text("utf-8") == CARD.read_text("utf-8")


def test_the_hub_reads_the_card() -> None:
    data = ModelCard.load(CARD).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "faceflow", "image-classification")
    assert data.base_model == "timm/tf_efficientnet_lite0.in1k"
    assert data.tags == ["facial-action-units", "FACS", "faces", "onnx"]
    assert data.metrics == ["roc_auc", "f1"]


def test_means_have_intervals_and_what_too_few_faces_show_has_no_score(tmp_path: Path) -> None:
    about = {"set": "real", "faces": 7, "subjects": 3}
    ends = {"AUROC_low": 0.8, "AUROC_high": 1, "F1_low": 0, "F1_high": 0.75, "ICC_low": -0.1, "ICC_high": 0.1}
    rows = [
        {**about, "model": "fused", "au": "mean", "counted": 1, "AUROC": 0.9, "F1": 0.5, "ICC": -0.05, **ends},
        {**about, "model": "fused", "au": "AU1", "counted": 4, "AUROC": 1, "F1": 0.5, "ICC": -0.05},
        {**about, "model": "fused", "au": "AU4", "counted": 2},
    ]
    rows += [{**row, "model": "fast"} for row in rows]
    pd.DataFrame(rows).to_csv(tmp_path / "scores.csv", index=False)
    model_card.main(["--scores", str(tmp_path / "scores.csv"), "--output", str(tmp_path / "README.md")])
    lines = (tmp_path / "README.md").read_text("utf-8").splitlines()
    assert "| fused | 0.900 (0.800 to 1.000) | 0.500 (0.000 to 0.750) | -0.050 (-0.100 to 0.100) |" in lines
    assert "| AU1 | 4 | 1.00 / .50 / -0.05 | 1.00 / .50 / -0.05 |" in lines
    assert "| AU4 | 2 | - / - / - | - / - / - |" in lines
    (line,) = (line for line in lines if line.startswith("7 faces of 3 subjects."))
    assert "all means over the 1 AUs that" in line
    assert any(line.startswith("The real faces are 7 photographs") for line in lines)
    assert not any("not trained on" in line for line in lines if line.startswith("### "))


@pytest.mark.slow
def test_scores_that_are_measured_again_replace_those_of_their_set_alone(tmp_path: Path) -> None:
    scores, figures = tmp_path / "scores.csv", tmp_path / "figures.json"
    earlier = pd.read_csv(model_card.SCORES)
    earlier.to_csv(scores, index=False)
    output = ("--scores", str(scores), "--output", str(tmp_path / "README.md"), "--figures", str(figures))
    model_card.main(["--rendered", str(FACES), "--resamples", "20", *output])
    stored = json.loads((FACES / "figures.json").read_text())
    for model, found in json.loads(figures.read_text())["rendered"].items():
        assert found == pytest.approx(stored[model], abs=0.003)  # processors round differently
    found = pd.read_csv(scores)
    pd.testing.assert_frame_equal(
        *(each[each["set"] == "real"].reset_index(drop=True) for each in (found, earlier)), check_dtype=False
    )
    mean = found[(found["set"] == "rendered") & (found["au"] == "mean")]
    assert (mean["ICC_low"] < mean["ICC"]).all()
    assert (mean["ICC"] < mean["ICC_high"]).all()
