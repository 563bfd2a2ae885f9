"""The table of frames and faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceflow.cropping.crop_rows import COLUMNS, FaceRow, join_rows, read_rows, write_rows
from faceflow.errors import DataError

FACE = FaceRow(
    file="Zoë, left.mp4",
    frame=12,
    time_s=0.36666,
    status="ok",
    face=1,
    score=0.98765,
    box=np.array([1.0, 2.005, 30.5, 40.0]),
    points=np.arange(10.0).reshape(5, 2),
    affine=np.array([[0.5, 0, 1 / 3], [0, 0.5, -2]]),
    crop="left/000012.jpg",
)
NONE = FaceRow(file="a.mp4", frame=13, time_s=None, status="no_face")


def test_columns_are_named_and_rounded(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [FACE])
    (row,) = read_rows(tmp_path / "rows.csv")
    assert tuple(row) == COLUMNS
    assert row == {
        **{"file": "Zoë, left.mp4", "frame": "12", "time_s": "0.3667", "face": "1", "status": "ok", "score": "0.9877"},
        **{"x1": "1.00", "y1": "2.00", "x2": "30.50", "y2": "40.00"},
        **{"eye_left_x": "0.00", "eye_left_y": "1.00", "eye_right_x": "2.00", "eye_right_y": "3.00"},
        **{"nose_x": "4.00", "nose_y": "5.00", "mouth_left_x": "6.00", "mouth_left_y": "7.00"},
        **{"mouth_right_x": "8.00", "mouth_right_y": "9.00"},
        **{"a11": "0.500000", "a12": "0.000000", "a13": "0.333333"},
        **{"a21": "0.000000", "a22": "0.500000", "a23": "-2.000000", "crop": "left/000012.jpg"},
    }


def test_unknown_values_are_empty(tmp_path: Path) -> None:
    points = np.full((5, 2), np.nan)
    points[0] = 1, 2
    held = FaceRow(
        file="a", frame=1, time_s=0.0, status="tracked", face=0, score=float("nan"), box=np.zeros(4), points=points
    )
    write_rows(tmp_path / "rows.csv", [NONE, held])
    none, tracked = read_rows(tmp_path / "rows.csv")
    assert {name for name, cell in none.items() if cell} == {"file", "frame", "status"}
    known = {name for name, cell in tracked.items() if cell}
    assert known == {"file", "frame", "time_s", "status", "face", "x1", "y1", "x2", "y2", "eye_left_x", "eye_left_y"}


def test_joined_rows_have_one_header_in_the_order_of_the_parts(tmp_path: Path) -> None:
    write_rows(tmp_path / "a/rows.csv", [FACE, NONE])
    write_rows(tmp_path / "b/rows.csv", [])
    write_rows(tmp_path / "c/rows.csv", [NONE])
    join_rows([tmp_path / f"{part}/rows.csv" for part in "cba"], tmp_path / "crops.csv")
    assert [row["frame"] for row in read_rows(tmp_path / "crops.csv")] == ["13", "12", "13"]
    write_rows(tmp_path / "once.csv", [NONE, FACE, NONE])
    assert (tmp_path / "crops.csv").read_bytes() == (tmp_path / "once.csv").read_bytes()


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/rows.csv: expected a writable file, got '.*'; check disk"):
        write_rows(tmp_path / "file/rows.csv", [NONE])
