"""Which frame each row of a label table names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from faceflow.cropping.clips import Clip, find_clips
from faceflow.cropping.row_places import LabelRows, Place, read_label_rows
from faceflow.errors import DataError

NAMES = {name: name for name in ("filename", "frame", "subject", "domain")}


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    for name in ("in/anna/1.jpg", "in/anna/2.JPG", "in/bert/1.jpg", "in/bert/3.jpg", "in/v/film.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return find_clips([str(tmp_path / "in")])


def read(folder: Path, clips: Sequence[Clip], header: str, *rows: str) -> LabelRows:
    (folder / "codes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_label_rows(folder / "codes.csv", NAMES, clips)


def error_of(folder: Path, clips: Sequence[Clip], header: str, *rows: str) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, clips, header, *rows)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("anna/1.jpg", Place("anna", 1)),
        ("in/anna/1.jpg", Place("anna", 1)),
        ("./anna/2.jpg", Place("anna", 2)),
        (r"anna\2.jpg", Place("anna", 2)),
        ("3.jpg", Place("bert", 2)),
        ("bert/3", Place("bert", 2)),
        (r"C:\study\pics\bert\3.jpg", Place("bert", 2)),
        ("/home/me/bert/1.jpg", Place("bert", 1)),
        ("/home/me/karl/1.jpg", None),
        ("karl/3.jpg", None),
        ("4.jpg", None),
    ],
)
def test_a_row_names_its_picture_in_many_ways(
    tmp_path: Path, clips: list[Clip], name: str, place: Place | None
) -> None:
    rows = read(tmp_path, clips, "AU1,filename", f"1,{name}", "1,bert/3.jpg" if "3" not in name else "1,anna/1.jpg")
    assert rows.places[0] == place


def test_rows_of_a_video_name_a_frame(tmp_path: Path, clips: list[Clip]) -> None:
    rows = read(tmp_path, clips, "AU1,filename,frame", "1,film.mp4,7", "1,v/film.mp4,8.0", "1,film,12", "1,3.jpg,")
    assert rows.places == [Place("v/film", 7), Place("v/film", 8), Place("v/film", 12), Place("bert", 2)]


def test_the_rows_of_one_video_need_no_filename(tmp_path: Path, clips: list[Clip]) -> None:
    film = [clip for clip in clips if clip.images is None]
    assert read(tmp_path, film, "AU1,frame", "1,3").places == [Place("v/film", 3)]
    assert error_of(tmp_path, clips, "AU1,frame", "1,3").startswith(
        "codes.csv: expected a column 'filename', got AU1, fr"
    )


@pytest.mark.parametrize(
    "box",
    [
        *("x1,y1,x2,y2\n10,20,40,60", "x,y,w,h\n10,20,30,40", "x,y,width,height\n10,20,30,40"),
        *("Left,Top,Right,Bottom\n10,20,40,60", "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight\n10,20,30,40"),
    ],
)
def test_a_box_is_two_corners_or_a_corner_and_a_size(tmp_path: Path, clips: list[Clip], box: str) -> None:
    header, cells = box.split("\n")
    rows = read(tmp_path, clips, f"AU1,filename,{header}", f"1,3.jpg,{cells}", "1,anna/1.jpg,,,,")
    assert rows.boxes == [(10, 20, 40, 60), None]
    assert rows.boxed


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["AU1,filename", "1,1.jpg"],
            "codes.csv:2: expected one file, got '1.jpg', which matches 'in/anna/1.jpg' and 'in/be",
        ),
        (
            ["AU1,filename", "1,x.jpg", "1,y.jpg"],
            "codes.csv:2: expected files of source in column 'filename', got none",
        ),
        (["filename", "3.jpg"], "codes.csv: expected AU columns such as AU12, got filename"),
        (["AU1,filename", "x,3.jpg"], "codes.csv:2: expected a number in column 'AU1', got 'x'"),
        (["AU1,filename"], "codes.csv: expected rows, got only a header"),
        (
            ["AU1,filename", "1,film.mp4"],
            "codes.csv: expected a column 'frame' for the frames of 'film.mp4', got AU1, fi",
        ),
        (
            ["AU1,filename,frame", "1,film.mp4,0"],
            "codes.csv:2: expected a frame number from 1 on, got '0'; the first frame",
        ),
        (
            ["AU1,filename,Frame", "1,film.mp4,1"],
            "codes.csv: expected a column 'frame', got 'Frame'; rename it, or set co",
        ),
        (
            ["AU1,filename,ID", "1,3.jpg,a", "0,anna/1.jpg,a"],
            "codes.csv: expected a column 'subject', got 'ID'; rename",
        ),
        (
            ["AU1,filename", "1,3.jpg", "2,bert/3.jpg"],
            "codes.csv:3: expected one row per image or frame, got another in",
        ),
        (
            ["AU1,filename,x1,y1,x2", "1,3.jpg,1,1,2"],
            "codes.csv: expected a box in columns x1, y1, x2, y2, got no 'y2'",
        ),
        (
            ["AU1,filename,x,y,w,h", "1,3.jpg,1,1,2,"],
            "codes.csv:2: expected a box in x, y, w, h with a width and a height above 0",
        ),
        (
            ["AU1,filename,x1,y1,x2,y2", "1,3.jpg,9,1,2,5"],
            "codes.csv:2: expected a box in x1, y1, x2, y2 with a width",
        ),
        (["AU1,filename,x,y,w,h", "1,3.jpg,1,a,2,3"], "codes.csv:2: expected numbers for a box, got 'a'; correct it"),
    ],
)
def test_a_mistake_in_the_table_is_one_line(tmp_path: Path, clips: list[Clip], lines: list[str], message: str) -> None:
    assert error_of(tmp_path, clips, *lines).startswith(message)
