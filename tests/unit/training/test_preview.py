from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.images import Image, read_image
from faceflow.training.preview import preview_faces
from tests.helpers.faces import read_folder, write_csv_dataset

TILE = 128
RESIZE = {"resize": {"_target_": "albumentations.Resize", "height": TILE, "width": TILE}}
GRAY = RESIZE | {"gray": {"_target_": "albumentations.ToGray", "p": 1.0}}


def tiles(sheet: Image) -> list[Image]:
    """Tiles of the first row, below the titles and between gaps of 4 px."""
    columns = (sheet.shape[1] - 4) // (TILE + 4)
    return [sheet[24 : 24 + TILE, 4 + c * (TILE + 4) :][:, :TILE] for c in range(columns)]


def grays(folder: Path, transforms: dict[str, Any]) -> list[bool]:
    """Which columns of the picture have no colour."""
    table = read_folder(write_csv_dataset(folder / "d", aus=("AU1",), subjects=2, frames=2, size=TILE))
    sheet = read_image(str(preview_faces([table], transforms, faces=2, folder=folder)))
    assert sheet.shape[0] == 24 + 2 * (TILE + 4)
    return [bool(np.ptp(tile, axis=2).max() == 0) for tile in tiles(sheet)]


@pytest.mark.parametrize("gray", ["labeled", "weak", "strong", "eval"])
def test_every_pipeline_has_its_columns_random_ones_two(gray: str, tmp_path: Path) -> None:
    names = ("labeled", "weak", "strong", "eval")
    columns = ["original", "labeled", "labeled", "weak", "weak", "strong", "strong", "eval"]
    found = grays(tmp_path, {name: GRAY if name == gray else RESIZE for name in names})
    assert found == [name == gray for name in columns]


def test_without_a_pipeline_of_their_own_labelled_faces_show_the_weak_one_first(tmp_path: Path) -> None:
    found = grays(tmp_path, {"weak": GRAY, "strong": RESIZE, "eval": RESIZE})
    assert found == [False, True, True, True, True, False, False, False]
