from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from faceflow.report.contact_sheet import contact_sheet

Image = npt.NDArray[np.uint8]

COLORS = [(200, 30, 40), (20, 210, 60), (10, 20, 220), (120, 0, 130)]


def plain(color: tuple[int, int, int], height: int = 32, width: int = 32) -> Image:
    return np.full((height, width, 3), color, np.uint8)


def read_rgb(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def box_of(sheet: Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the pixels that have exactly this color."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


def test_tiles_keep_their_pixels_and_their_place_in_the_grid(tmp_path: Path) -> None:
    rows = [[plain(COLORS[0]), plain(COLORS[1])], [plain(COLORS[2]), plain(COLORS[3])]]
    path = contact_sheet(rows, path=tmp_path / "new" / "sheet.png", columns=["weak", "strong"], tile=32)
    sheet = read_rgb(path)
    boxes = [box_of(sheet, color) for color in COLORS]
    for top, left, bottom, right in boxes:
        assert (bottom - top, right - left) == (32, 32)
    first, right_of_first, below_first, last = boxes
    assert first[0] == right_of_first[0]
    assert first[3] < right_of_first[1]
    assert first[1] == below_first[1]
    assert first[2] < below_first[0]
    assert last[:2] == (below_first[0], right_of_first[1])


def test_texture_of_a_tile_sized_image_is_written_exactly(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    sheet = read_rgb(contact_sheet([[image]], path=tmp_path / "a.png", columns=["x"], tile=48))
    height, width = sheet.shape[:2]
    places = [
        (y, x)
        for y in range(height - 47)
        for x in range(width - 47)
        if np.array_equal(sheet[y : y + 48, x : x + 48], image)
    ]
    assert len(places) == 1


def test_image_is_scaled_without_distortion(tmp_path: Path) -> None:
    wide = plain(COLORS[0], height=20, width=80)
    sheet = read_rgb(contact_sheet([[wide]], path=tmp_path / "a.png", columns=["x"], tile=40))
    top, left, bottom, right = box_of(sheet, COLORS[0])
    assert (bottom - top, right - left) == (10, 40)


def test_titles_are_drawn_and_row_titles_get_room(tmp_path: Path) -> None:
    tile = plain((255, 255, 255))
    blank = read_rgb(contact_sheet([[tile]], path=tmp_path / "a.png", columns=[""]))
    titled = read_rgb(contact_sheet([[tile]], path=tmp_path / "b.png", columns=["me$di$um"]))
    named = read_rgb(contact_sheet([[tile]], path=tmp_path / "c.png", columns=[""], row_names=["webcam 797"]))
    assert blank.min() == 255
    assert titled[:24].min() < 100
    assert titled[24:].min() == 255
    assert named.shape[1] > blank.shape[1]
    room = named.shape[1] - blank.shape[1]
    assert named[:, :room].min() < 100
    assert named[:, room:].min() == 255


def test_existing_sheet_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    contact_sheet([[plain(COLORS[0])]], path=path, columns=["x"])
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("rows", "columns", "row_names"),
    [
        ([], ["a"], None),
        ([[plain(COLORS[0])]], ["a", "b"], None),
        ([[plain(COLORS[0])]], ["a"], ["x", "y"]),
    ],
)
def test_titles_must_match_the_grid(
    tmp_path: Path, rows: list[list[Image]], columns: list[str], row_names: list[str] | None
) -> None:
    with pytest.raises(ValueError, match="expected"):
        contact_sheet(rows, path=tmp_path / "a.png", columns=columns, row_names=row_names)
    assert not list(tmp_path.iterdir())
