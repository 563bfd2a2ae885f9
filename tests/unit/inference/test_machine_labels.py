"""Estimates as labels: their values, empty cells and subjects."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from faceflow.errors import ConfigError
from faceflow.inference.machine_labels import MachineLabels
from faceflow.inference.onnx_model import OnnxModel
from tests.helpers.exported import contract, intensity_contract, write_model
from tests.helpers.predictions import estimates


def labels(tmp_path: Path, *, levels: int = 5, margin: float = 0.5) -> MachineLabels:
    thresholds = {"AU1": 0.4, "AU4": 0.4, "AU12_L": 0.4}
    says = intensity_contract(thresholds=thresholds) if levels > 1 else contract(thresholds=thresholds)
    return MachineLabels(
        OnnxModel(write_model(tmp_path / "m.onnx", says), provider="cpu"), tmp_path / "weak.csv", margin=margin
    )


@pytest.mark.parametrize(
    ("probability", "intensity", "label"),
    [
        (0.19, 1.0, 1.0),  # half of the way from 0.4 to 0
        (0.21, 1.0, None),
        (0.4, 2.0, None),
        (0.69, 3.0, None),
        (0.71, 3.0, 3.0),  # half of the way from 0.4 to 1
        (0.9, 1.5, 2.0),  # occurs, so it is at least the least intensity that does
        (0.1, 2.5, 1.99),
    ],
)
def test_a_label_agrees_with_a_sure_decision_and_is_empty_where_it_is_unsure(
    probability: float, intensity: float, label: float | None, tmp_path: Path
) -> None:
    cells = labels(tmp_path).cells("a.png", estimates([probability] * 3, [intensity] * 3))
    assert cells[:3] == [label] * 3


def test_models_without_levels_give_0_and_1_and_a_margin_of_0_leaves_nothing_empty(tmp_path: Path) -> None:
    writer = labels(tmp_path, levels=1, margin=0.0)
    assert writer.cells("a.png", estimates([0.39, 0.4, 1.0]))[:3] == [0.0, 1.0, 1.0]
    assert "0% of the labels left empty" in writer.line(1)
    with pytest.raises(ConfigError, match=r"^labels_margin: expected a share in \[0, 1\), got 1"):
        labels(tmp_path, margin=1.0)


def test_names_are_below_the_crops_and_subjects_those_of_the_table_beside_them_or_the_recording(tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    (faces / "crops").mkdir(parents=True)
    (faces / "crops.json").write_text("{}")
    pd.DataFrame({"AU1": [0], "filename": ["day/1.jpg"], "subject": ["anna"]}).to_csv(faces / "labels.csv", index=False)
    writer, scores = labels(tmp_path), estimates([0.9] * 3, [3.0] * 3)
    found = [writer.cells(str(faces / "crops" / name), scores)[3:5] for name in ("day/1.jpg", "day/2.jpg", "c.jpg")]
    assert found == [["day/1.jpg", "anna"], ["day/2.jpg", "day"], ["c.jpg", "c.jpg"]]
    assert writer.cells(str(tmp_path / "own/a.png"), scores)[3:5] == ["own/a.png", "own"]
