"""Training crops, measured as the network sees them, over data sets and the unlabelled pool."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from faceflow.crop_statistics import of_pixels
from faceflow.data.sources import FaceTable
from faceflow.evaluation.crop_measures import compare_with_training, measure_training
from faceflow.images import read_image
from faceflow.inference.onnx_model import fit
from faceflow.views import FEATURES, IMAGES
from tests.helpers.faces import write_image
from tests.helpers.features import give_features, random_vectors
from tests.helpers.networks import label_table


def faces(folder: Path, *greys: int, subjects: bool = True) -> FaceTable:
    """A table of a picture for each grey level, with a bright middle, each of a subject of its own."""
    folder.mkdir()
    files = []
    for number, grey in enumerate(greys):
        image = np.full((40, 40, 3), grey, np.uint8)
        image[15:25, 15:25] = min(255, grey + 40)
        write_image(path := folder / f"{number}.png", image)
        files.append(str(path))
    table = label_table(folder.name, {"AU1": [0.0] * len(greys)})
    return dataclasses.replace(table, files=np.array(files), has_subjects=subjects)


def test_faces_are_measured_at_the_size_of_the_input(tmp_path: Path) -> None:
    table = faces(tmp_path / "a", 20, 60, 100)
    found = measure_training({"train": [table], "val": [faces(tmp_path / "v", 250)]}, image_size=16, inputs=(IMAGES,))
    rows = [of_pixels(fit(read_image(file), 16)) for file in table.files]
    assert found is not None
    assert (found.faces, found.subjects) == (3, 3)
    assert list(found.quantiles) == ["brightness", "contrast", "sharpness"]
    for name, values in found.quantiles.items():
        assert values == pytest.approx(np.quantile([row[name] for row in rows], [0.005, 0.05, 0.5, 0.95, 0.995]))


def test_all_data_sets_and_the_unlabelled_pool_count(tmp_path: Path) -> None:
    dark, bright = faces(tmp_path / "dark", 20, 24), faces(tmp_path / "bright", 200, 204)
    pool = faces(tmp_path / "pool", 100, 104, 108, subjects=False)
    found = measure_training({"train": [dark, bright], "unlabeled": [pool]}, image_size=16, inputs=(IMAGES,))
    assert found is not None
    assert (found.faces, found.subjects) == (7, 4)
    assert found.quantiles["brightness"][2] == pytest.approx(
        of_pixels(fit(read_image(pool.files[1]), 16))["brightness"]
    )


def test_a_long_training_is_measured_on_faces_at_equal_steps(tmp_path: Path) -> None:
    table = faces(tmp_path / "a", *(20,) * 10, *(120,) * 10)
    many = dataclasses.replace(table, files=np.repeat(table.files, 500))
    found = measure_training({"train": [many]}, image_size=16, inputs=(IMAGES,))
    assert found is not None
    assert found.faces == 2000
    low, high = found.quantiles["brightness"][1], found.quantiles["brightness"][3]
    assert high - low == pytest.approx(100)


def test_a_network_without_pixels_and_faces_without_features_leave_nothing(tmp_path: Path) -> None:
    table = faces(tmp_path / "a", 20, 60)
    assert measure_training({"train": [table]}, image_size=16, inputs=(FEATURES,)) is None


def test_sizes_and_poses_are_known_where_all_faces_have_features(tmp_path: Path) -> None:
    table = faces(tmp_path / "crops", 20, 60, 100)
    vectors = random_vectors(3)
    give_features(tmp_path, [Path(file) for file in table.files], vectors)
    found = measure_training({"train": [table]}, image_size=16, inputs=(FEATURES,))
    assert found is not None
    assert list(found.quantiles) == ["face_size", "yaw", "pitch"]
    assert found.quantiles["yaw"][2] == pytest.approx(np.median(vectors[:, -3]), abs=1e-4)
    both = {"train": [table, faces(tmp_path / "others", 30)]}
    assert measure_training(both, image_size=16, inputs=(FEATURES,)) is None


def test_data_unlike_the_training_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = measure_training({"train": [faces(tmp_path / "a", *range(90, 120))]}, image_size=16, inputs=(IMAGES,))
    tables = [faces(tmp_path / "same", 95, 100, 110), faces(tmp_path / "night", 5, 8, 100)]
    compare_with_training(training, tables, image_size=16, inputs=(IMAGES,))
    (line,) = caplog.messages
    assert line.startswith("night: 2 of 3 faces are unlike the training faces, most of all in brightn")
    caplog.clear()
    compare_with_training(None, tables, image_size=16, inputs=(IMAGES,))
    assert not caplog.messages
