from __future__ import annotations

from pathlib import Path

import numpy as np

from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces
from tests.helpers.faces import source_settings, write_csv_dataset


def test_data_that_are_to_be_drawn_are_drawn_before_they_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    draw = {
        "_target_": "tests.helpers.faces.write_csv_dataset",
        "folder": {"_target_": "pathlib.Path", "_args_": [str(folder)]},
        "aus": ["AU1"],
        "subjects": 3,
        "frames": 2,
    }
    sources = {"mine": source_settings(labels=folder / "labels.csv", images=folder / "images")}
    (table,) = read_faces({"prepare": draw, "sources": sources}, levels=1)
    assert (table.name, len(table), len(set(table.subjects))) == ("mine", 6, 3)


def test_several_levels_take_intensities_where_a_tool_wrote_occurrences_too(tmp_path: Path) -> None:
    both = {"AU01_r": [0.5, 4.0], "AU01_c": [0, 1]}
    folder = write_csv_dataset(tmp_path / "faces", aus=(), subjects=1, frames=2, columns=both)
    sources = {"mine": source_settings(labels=folder / "labels.csv", images=folder / "images")}
    occurrence, intensity = (read_faces({"sources": sources}, levels=levels)[0].scores for levels in (1, 5))
    assert occurrence.ravel().tolist() == [0, 1]
    assert intensity.ravel().tolist() == [0.5, 4.0]


def test_the_evaluation_transform_alone_is_built() -> None:
    resize = {"_target_": "albumentations.Resize", "height": 16, "width": 16}
    pipeline = eval_pipeline({"eval": {"resize": resize}, "strong": "never read"})
    assert pipeline(np.zeros((40, 30, 3), np.uint8), 0).shape == (16, 16, 3)
