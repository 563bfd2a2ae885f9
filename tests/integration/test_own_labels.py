"""faceflow-crop with a label table: each crop has the labels of its image, frame and face."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import faceflow
from faceflow.images import read_image
from tests.helpers.markers import MARKERS, blank, draw_face, face_at, moving_faces, write_photo, write_video
from tests.helpers.numbered import numbered_frame, read_number
from tests.integration.command import SMALL, Outcome, run

LEFT, RIGHT = ((20, 40), (44, 40)), ((130, 40), (170, 40))  # eyes of two faces in a picture


def crop(folder: Path, *overrides: str, code: int = 0) -> Outcome:
    labels = f"labels={folder}/codes.csv"
    outcome = run("crop", folder, f"output={folder}/out", f"source={folder}/in", labels, *MARKERS, *overrides)
    assert outcome.code == code, outcome.stderr
    return outcome


def write(folder: Path, *lines: str, name: str = "codes.csv", encoding: str = "utf-8") -> None:
    (folder / name).write_bytes("\r\n".join(lines).encode(encoding))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four images: with one face, with two, with none, and one that is in no table."""
    write_photo(tmp_path / "in/anna/one.png", face_at(40, 40))
    write_photo(tmp_path / "in/two.png", draw_face(draw_face(blank(200, 96), *LEFT), *RIGHT))
    write_photo(tmp_path / "in/nobody.png", blank())
    write_photo(tmp_path / "in/other.png", face_at(50, 40))
    return tmp_path


def test_photographs_get_their_rows_and_both_sides_say_what_is_left(photos: Path) -> None:
    write(
        photos,
        "filename;AU12;Comment;subject",
        r"anna\one.png;1,5;ein Lächeln;7",
        "two.png;3;;8",
        "nobody.png;0;;9",
        "gone.png;2;;9",
        encoding="cp1252",
    )
    outcome = crop(photos, "image.format=png")
    assert rows(photos / "out/labels.csv") == [
        {
            "filename": "anna/one.png",
            "source_file": r"anna\one.png",
            "AU12": "1.5",
            "Comment": "ein Lächeln",
            "subject": "7",
        },
        {"filename": "two.png", "source_file": "two.png", "AU12": "3", "Comment": "", "subject": "8"},
    ]
    assert [(row["line"], row["reason"], row["filename"]) for row in rows(photos / "out/rows_without_face.csv")] == [
        ("4", "no_face", "nobody.png"),
        ("5", "no such file", "gone.png"),
    ]
    assert [row["crop"] for row in rows(photos / "out/faces_without_row.csv")] == ["other.png"]
    counts = [line.split()[-4:] for line in outcome.stdout.splitlines() if line.startswith("all ")]
    assert counts[-1] == ["4", "2", "2", "1"]
    face = next(row for row in rows(photos / "out/crops.csv") if row["file"].endswith("two.png"))
    assert float(face["eye_left_x"]) == pytest.approx(130, abs=1)  # the largest of both


def test_boxes_say_whose_labels_they_are(photos: Path) -> None:
    write(
        photos,
        "AU12,filename,x,y,w,h,subject",
        "1,two.png,135,30,30,40,right",
        "5,two.png,0,10,64,70,left",
        "2,two.png,80,0,10,10,nobody",
        "3,anna/one.png,,,,,anna",
    )
    crop(photos)
    faces = {row["crop"]: row for row in rows(photos / "out/crops.csv")}
    found = {row["subject"]: faces[row["filename"]] for row in rows(photos / "out/labels.csv")}
    assert {who: round(float(face["eye_left_x"])) for who, face in found.items()} == {
        "right": 130,
        "left": 20,
        "anna": 28,
    }
    (lost,) = rows(photos / "out/rows_without_face.csv")
    assert (lost["line"], lost["reason"]) == ("4", "no face in the box")


def test_a_changed_table_changes_the_labels_and_no_crop(photos: Path) -> None:
    write(photos, "AU12,filename", "1,two.png", "1,nobody.png")
    crop(photos)
    before = {path: path.stat().st_mtime_ns for path in (photos / "out/crops").rglob("*.jpg")}
    first = (photos / "out/labels.csv").read_bytes()
    write(photos, "AU12,filename,subject", "4,two.png,s1", "0,other.png,s2", "0,anna/one.png,s3")
    outcome = crop(photos, f"+detector.needs={photos}/missing", "folds=3")  # it would not open
    assert {path: path.stat().st_mtime_ns for path in (photos / "out/crops").rglob("*.jpg")} == before
    assert [(row["AU12"], row["subject"]) for row in rows(photos / "out/labels.csv")] == [
        *(("4", "s1"), ("0", "s2"), ("0", "s3"))
    ]
    assert [row["subject"] for row in rows(photos / "out/folds/3fold_2/test.csv")] == ["s2"]
    assert [row["subject"] for row in rows(photos / "out/folds/3fold_2/train.csv")] == ["s1", "s3"]
    assert "Fold 3fold_1 tests s1" in outcome.stdout
    assert not (photos / "out/rows_without_face.csv").exists()
    write(photos, "AU12,filename", "1,two.png", "1,nobody.png")
    crop(photos)
    assert (photos / "out/labels.csv").read_bytes() == first


def test_frames_of_videos_get_the_labels_of_their_number(tmp_path: Path) -> None:
    write_video(tmp_path / "in/a.avi", [numbered_frame(n, face=n != 4) for n in range(1, 9)])
    write_photo(tmp_path / "in/b.png", face_at(40, 40))
    lines = [f"a.avi,{n},{n % 6}" for n in (8, 2, 4, 5, 30)]
    write(tmp_path, "filename,frame,AU1", *lines, "b.png,,5")
    crop(tmp_path, "selection.smooth=0", "selection.hold=0")
    labels = rows(tmp_path / "out/labels.csv")
    assert [(row["frame"], row["AU1"]) for row in labels] == [("8", "2"), ("2", "2"), ("5", "5"), ("", "5")]
    for row in labels[:3]:
        assert read_number(read_image(tmp_path / "out/crops" / row["filename"])) == int(row["frame"])
    assert [(row["frame"], row["reason"]) for row in rows(tmp_path / "out/rows_without_face.csv")] == [
        *(("4", "no_face"), ("30", "no such frame"))
    ]
    assert [row["frame"] for row in rows(tmp_path / "out/faces_without_row.csv")] == ["1", "3", "6", "7"]


def test_the_labels_train_as_they_are(tmp_path: Path) -> None:
    for number, image in enumerate(moving_faces(12)):
        write_photo(tmp_path / f"in/{number}.png", image)
    lines = [f"{number}.png,{number % 6},{number % 5},s{number}" for number in range(12)]
    write(tmp_path, "filename,AU6,AU12,Participant", *lines)
    settings = [*MARKERS, "columns.subject=Participant"]
    faces = faceflow.crop(settings, source=tmp_path / "in", labels=tmp_path / "codes.csv", output=tmp_path / "out")
    assert faces.labels == tmp_path / "out/labels.csv"
    assert rows(faces.labels)[3]["subject"] == "s3"
    report = (*SMALL, "report_only=true", "data=csv", f"data.labels={faces.labels}")
    outcome = run("train", tmp_path / "run", *report)
    assert outcome.code == 0, outcome.stderr
    counts = [line.split()[1:4] for line in outcome.stdout.splitlines() if line.startswith(("train ", "val ", "test "))]
    assert [name for name, _, _ in counts] == ["out"] * 3
    assert sum(int(images) for _, images, _ in counts) == sum(int(subjects) for _, _, subjects in counts) == 12


@pytest.mark.parametrize(
    ("overrides", "lines", "message"),
    [
        (
            ["selection.policy=all"],
            ["AU1,filename", "1,two.png"],
            "ConfigError: selection.policy: expected largest, cen",
        ),
        (["columns.subject=who"], ["AU1,filename", "1,two.png"], "ConfigError: columns.subject: expected a column of"),
        (["folds=2"], ["AU1,filename", "1,two.png"], "DataError: FOLDER/codes.csv: expected a column 'subject', got"),
        (
            [],
            ["AU1,filename,Subject", "1,two.png,a"],
            "DataError: FOLDER/codes.csv: expected a column 'subject', got 'S",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_cropped(
    photos: Path, overrides: list[str], lines: list[str], message: str
) -> None:
    write(photos, *lines)
    assert crop(photos, *overrides, code=2).error.replace(str(photos), "FOLDER").startswith(message)
    assert not (photos / "out/crops").exists()
