"""Features are read for the rows of a table, from where faceflow-crop wrote them."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from faceflow.data.features import FeatureStore, read_features
from faceflow.errors import DataError
from tests.helpers.cropping import crop, only_clip
from tests.helpers.markers import MarkerDetector, draw_face, face_at, moving_faces, write_photo, write_video


def cropped(folder: Path, name: str = "a", *, frames: int = 6) -> list[str]:
    """Crops of a video, with features."""
    clip = only_clip(write_video(folder / f"{name}.avi", moving_faces(frames)))
    rows = crop(clip, folder, MarkerDetector(features=True))
    (folder / "crops.json").write_text("{}", encoding="utf-8")
    return [str(folder / "crops" / row["crop"]) for row in rows]


def yaws(store: FeatureStore) -> list[float]:
    """The detector makes up a yaw of a seventh of the place of the left eye, which moves by a third of a pixel."""
    return [float(store[row][-3]) for row in range(len(store))]


def test_every_row_has_the_features_of_its_crop_in_any_order(tmp_path: Path) -> None:
    files = [*cropped(tmp_path, "a"), *cropped(tmp_path, "b")]
    order = [7, 0, 5, 11, 5]
    store = pickle.loads(pickle.dumps(read_features([files[row] for row in order], key="mine")))
    assert len(store) == 5
    assert store[0].shape == (1489,)
    assert store[0].dtype == np.float32
    expected = [(30 + row % 6 / 3) / 7 for row in order]
    assert yaws(store) == pytest.approx(expected, abs=0.02)  # a disc's centre is found to a tenth of a pixel


def test_photographs_at_the_top_and_in_folders_have_theirs(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/x.png", face_at(40, 40))
    rows = crop(only_clip(tmp_path / "in"), tmp_path, MarkerDetector(features=True))
    (tmp_path / "crops.json").write_text("{}", encoding="utf-8")
    store = read_features([str(tmp_path / "crops" / row["crop"]) for row in rows], key="mine")
    assert yaws(store) == pytest.approx([28 / 7], abs=0.02)
    landmarks = store[0][:1434].reshape(478, 3)  # between the corners of the mouth, 1.1 x 24 px below the eyes
    np.testing.assert_allclose(landmarks[[0, 477]], [[28, 66.4, -20], [52, 66.4, 20]], atol=0.2)


def test_each_of_several_faces_in_a_frame_has_its_own(tmp_path: Path) -> None:
    image = draw_face(face_at(32, 40, width=200), (130, 40), (154, 40))
    clip = only_clip(write_video(tmp_path / "a.avi", [image] * 2))
    rows = crop(clip, tmp_path, MarkerDetector(features=True), policy="all")
    (tmp_path / "crops.json").write_text("{}", encoding="utf-8")
    store = read_features([str(tmp_path / "crops" / row["crop"]) for row in rows], key="mine")
    assert yaws(store) == pytest.approx([20 / 7, 130 / 7] * 2, abs=0.05)


@pytest.mark.parametrize("gone", ["crops.json", "features/a.npy"])
def test_faces_without_features_are_one_line(tmp_path: Path, gone: str) -> None:
    files = cropped(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(DataError) as caught:
        read_features(files, key="data.sources.mine")
    assert str(caught.value) == (
        f"data.sources.mine: expected features of every face, got none for '{files[0]}'; crop the images (those of "
        "faceflow-render too) with: faceflow-crop "
        "detector=mediapipe_landmarks, or use a model that reads only pixels, such as model=default"
    )


def test_a_crop_that_the_file_does_not_name_is_one_line(tmp_path: Path) -> None:
    files = cropped(tmp_path)
    other = shutil.copy(files[0], tmp_path / "crops/a/mine.png")
    with pytest.raises(DataError, match="got none for '.*mine.png'"):
        read_features([*files, str(other)], key="mine")


def test_features_of_other_crops_are_refused_though_names_agree(tmp_path: Path) -> None:
    files = cropped(tmp_path / "here")
    clip = only_clip(write_video(tmp_path / "a.avi", moving_faces(12)[6:]))
    crop(clip, tmp_path / "there", MarkerDetector(features=True))
    shutil.copy(tmp_path / "there/features/a.npy", tmp_path / "here/features/a.npy")
    with pytest.raises(DataError) as caught:
        read_features(files, key="mine")
    assert str(caught.value) == (
        f"{tmp_path}/here/features/a.npy: expected features of the crops in '{tmp_path}/here/crops/a', got those of "
        "other images, for example for '000001.png'; crop again to another output"
    )


def test_a_file_that_was_cut_since_is_one_line(tmp_path: Path) -> None:
    store = read_features(cropped(tmp_path), key="mine")
    path = tmp_path / "features/a.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=rf"^{path}: expected the features it held at the start, got "):
        store[5]
    path.unlink()
    with pytest.raises(DataError, match=rf"^{path}: expected the features it held at the start, got "):
        store[0]
