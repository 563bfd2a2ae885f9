"""Which subjects an export uses for calibration, measurement and comparison."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from faceflow.data.transforms import build_pipeline
from faceflow.errors import ConfigError, DataError
from faceflow.exporting.export_faces import ExportFaces, comparison_faces
from faceflow.exporting.parity import random_faces
from tests.helpers.folds import table
from tests.helpers.markers import write_photo
from tests.helpers.networks import network_spec
from tests.unit.evaluation.test_known_faces import payload, strangers

TRAIN = table("own", ["1", "2"])


def test_subjects_of_training_calibrate_and_others_measure() -> None:
    test = strangers(["x", "y"])
    test.pictures[1] = TRAIN.pictures[0]  # x was trained on
    faces = ExportFaces.choose([test], payload(TRAIN), same_subjects=None)
    assert [part.subjects.tolist() for part in faces.unseen] == [["own/y", "own/y"]]
    assert [part.subjects.tolist() for part in faces.calibration] == [["own/x", "own/x"]]
    assert faces.note == ""


def test_strangers_alone_do_both() -> None:
    faces = ExportFaces.choose([strangers(["x"])], payload(TRAIN), same_subjects=None)
    assert [part.subjects.tolist() for part in faces.calibration] == [part.subjects.tolist() for part in faces.unseen]


def test_equal_ids_are_a_caution_unless_the_user_knows_them() -> None:
    test = strangers(["1", "y"])
    unsure = ExportFaces.choose([test], payload(TRAIN), same_subjects=None)
    assert unsure.note == "1 subject with ids of training subjects counted as other people"
    same = ExportFaces.choose([test], payload(TRAIN), same_subjects=True)
    assert [part.subjects.tolist() for part in same.unseen] == [["own/y", "own/y"]]
    assert same.note == ""


def test_faces_without_a_common_au_or_a_stranger_are_refused() -> None:
    with pytest.raises(DataError, match="expected subjects that the checkpoint has not seen, got none"):
        ExportFaces.choose([TRAIN], payload(TRAIN), same_subjects=None)
    other = payload(TRAIN, spec=network_spec(aus=("AU4",)))
    with pytest.raises((ConfigError, DataError), match="AU4"):
        ExportFaces.choose([strangers(["x"])], other, same_subjects=None)


def test_real_faces_stand_beside_noise_where_there_are_any(tmp_path: Path) -> None:
    step = {"_target_": "albumentations.Resize", "height": 64, "width": 64, "interpolation": 3, "p": 1.0}
    pipeline = build_pipeline({"resize": step}, key="transforms.eval")
    alone = comparison_faces(None, payload(TRAIN), pipeline)
    assert list(alone) == ["random"]
    np.testing.assert_array_equal(alone["random"].images, random_faces(payload(TRAIN).spec).images)
    files = [str(write_photo(tmp_path / f"{n}.png", np.full((16, 16, 3), n, np.uint8))) for n in range(2)]
    test = dataclasses.replace(strangers(["x"]), files=np.array(files))
    faces = ExportFaces(unseen=[test], calibration=[test], note="")
    assert comparison_faces(faces, payload(TRAIN), pipeline)["real"].size == 2
    trained = payload(
        TRAIN, config={"data": {"sources": {"a": {"labels": None, "train": None, "images": str(tmp_path)}}}}
    )
    assert comparison_faces(None, trained, pipeline)["real"].size == 2
