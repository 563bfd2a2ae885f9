from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import DataError
from faceflow.exporting.sample_faces import load_faces, spread, training_faces
from tests.helpers.features import give_features, random_vectors
from tests.helpers.folds import table
from tests.helpers.markers import write_photo


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    step = {"_target_": "albumentations.Resize", "height": 8, "width": 8, "interpolation": 3, "p": 1.0}
    return build_pipeline({"resize": step}, key="transforms.eval")


def grey(path: Path, level: int) -> Path:
    return write_photo(path, np.full((16, 12, 3), level, np.uint8))


def stored(images: Path | None, labels: Path | None = None) -> dict[str, object]:
    source = {"images": images and str(images), "labels": labels and str(labels), "train": None}
    return {"data": {"sources": {"own": source}}}


def test_faces_are_read_at_the_size_of_the_network(pipeline: Pipeline, tmp_path: Path) -> None:
    files = [str(grey(tmp_path / f"{level}.png", level)) for level in (10, 200)]
    faces = load_faces(files, pipeline).images
    assert faces is not None
    assert (faces.shape, faces.dtype) == ((2, 8, 8, 3), np.uint8)
    assert [int(face.mean()) for face in faces] == [10, 200]


def test_files_are_spread_over_all_tables_without_a_repeat() -> None:
    tables = [table("a", ["1", "2"]), table("b", ["3"])]  # four rows and two
    assert spread(tables, 3) == ["/a/None/0.jpg", "/a/None/2.jpg", "/b/None/1.jpg"]
    assert len(spread(tables, 100)) == 6
    assert spread([], 3) == []


def test_training_faces_are_found_in_the_folders_of_the_run(pipeline: Pipeline, tmp_path: Path) -> None:
    grey(tmp_path / "images/s1/a.png", 50)
    grey(tmp_path / "images/s2/b.jpg", 50)
    (tmp_path / "labels.csv").write_text("no picture")
    for config in (stored(tmp_path / "images"), stored(None, tmp_path / "labels.csv")):
        found = training_faces(config, 7, pipeline)
        assert found is not None
        assert found.images is not None
        assert found.images.shape == (2, 8, 8, 3)
    one = training_faces(stored(tmp_path / "images"), 1, pipeline)
    assert one is not None
    assert one.size == 1


def test_of_what_faceflow_crop_wrote_only_the_crops_are_faces(pipeline: Pipeline, tmp_path: Path) -> None:
    write_photo(tmp_path / "contact_sheet.png", np.zeros((8, 8, 3), np.uint8))
    crops = [grey(tmp_path / f"crops/{n}.png", n) for n in (3, 5)]
    give_features(tmp_path, crops, random_vectors(2))
    found = training_faces(stored(None, tmp_path / "labels.csv"), 7, pipeline, ("images", "features"))
    assert found is not None
    assert found.images is not None
    assert found.features is not None
    assert sorted(int(image.mean()) for image in found.images) == [3, 5]
    assert found.features.shape == (2, 1489)


@pytest.mark.parametrize(
    "config", [{}, {"data": 3}, {"data": {"sources": {"own": {}}}}, stored(None), stored(Path("no"))]
)
def test_folders_that_are_gone_are_no_error(config: dict[str, object], pipeline: Pipeline) -> None:
    assert training_faces(config, 7, pipeline) is None


def test_a_broken_training_face_is_no_error_and_any_other_is(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert training_faces(stored(tmp_path), 7, pipeline) is None
    with pytest.raises(DataError):
        load_faces([str(tmp_path / "a.png")], pipeline)
