from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.data.crop_recipe import find_crop_recipe, read_crop_recipe
from faceflow.data.sources import FaceTable
from faceflow.errors import DataError
from tests.helpers.networks import label_table

RECIPE = {
    "detector": {"name": "mediapipe_landmarks", "sha256": "6418"},
    "align": {"preset": "eyes", "size": 224},
    "selection": {"policy": "track", "hold": 5, "smooth": 2},
}


def cropped(folder: Path, name: str, **changes: Any) -> FaceTable:
    """Table of two files where faceflow-crop writes them."""
    folder.mkdir()
    content = {"format": 1, "faceflow": "0.1.0", "image": {"format": "jpg"}, **RECIPE, **changes}
    (folder / "crops.json").write_text(json.dumps(content), "utf-8")
    files = np.array([str(folder / "crops" / clip / "1.jpg") for clip in ("a", "b")])
    return dataclasses.replace(label_table(name, {"AU1": [0.0, 5.0]}), files=files)


def test_recipe_beside_the_crops_is_found_without_what_does_not_matter(tmp_path: Path) -> None:
    assert find_crop_recipe([cropped(tmp_path / "disfa", "disfa")]) == RECIPE
    assert find_crop_recipe([cropped(tmp_path / n, n) for n in ("one", "two")]) == RECIPE


def test_sets_that_were_cut_alike_and_followed_otherwise_share_the_recipe_of_the_first(tmp_path: Path) -> None:
    align = {"preset": "eyes", "size": 224, "max_enlargement": None}
    selection = {"policy": "all", "hold": 0, "smooth": 2, "cuts": True}
    other = cropped(tmp_path / "b", "b", align=align, selection=selection, detector={"name": "mediapipe_landmarks"})
    assert find_crop_recipe([cropped(tmp_path / "a", "a"), other]) == RECIPE
    steadier = cropped(tmp_path / "c", "c", selection={**selection, "smooth": 3})
    turned = cropped(tmp_path / "d", "d", align={**align, "max_enlargement": 1.15})
    assert find_crop_recipe([other, steadier]) is None
    assert find_crop_recipe([other, turned]) is None


def test_faces_from_elsewhere_have_none_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert find_crop_recipe([label_table("faces", {"AU1": [0.0, 5.0]})]) is None
    assert caplog.messages == []


def test_sets_that_were_cut_differently_have_none_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = cropped(tmp_path / "a", "a"), cropped(tmp_path / "b", "b", align={"preset": "box", "size": 224})
    assert find_crop_recipe([one, other]) is None
    assert find_crop_recipe([one, label_table("faces", {"AU1": [0.0, 5.0]})]) is None
    assert [text.split(": crops were cut")[0] for text in caplog.messages] == ["a, b", "a, faces"]


def test_damaged_recipe_is_a_warning_in_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = cropped(tmp_path / "a", "a")
    (tmp_path / "a" / "crops.json").write_text("{", "utf-8")
    assert find_crop_recipe([table]) is None
    assert "not a JSON file" in caplog.messages[0]


@pytest.mark.parametrize("text", ["[]", "{}", '{"align": {}}', '{"align": 1, "detector": {}, "selection": {}}'])
def test_file_that_is_no_recipe_is_refused_by_its_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "crops.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match="^crop: expected a crops.json of faceflow-crop, got "):
        read_crop_recipe(path, key="crop")
    with pytest.raises(DataError, match="No such file"):
        read_crop_recipe(tmp_path / "no.json", key="crop")
