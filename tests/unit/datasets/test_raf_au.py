from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.datasets.published import Labels
from tests.helpers.published import error_of, read, write_file

LINES = b"0001.jpg 1+2+L12\n0002.jpg null\n0003.jpg 12+26 \n0004.jpg R12+L12\n0005.jpg 4\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five lines, of which 0005 has no image."""
    folder = tmp_path / "RAF-AU"
    write_file(folder / "RAFAU_label.txt", LINES)
    for number in range(1, 5):
        write_file(folder / f"aligned/{number:04d}_aligned.jpg")
    for foreign in (".DS_Store", "aligned/Thumbs.db", "aligned/._0001_aligned.jpg", "aligned/0009.jpg"):
        write_file(folder / foreign, b"\0")
    return folder


def labels_of(root: Path, **options: str) -> Labels:
    (found,) = read("raf_au", root, **options).values()
    return found.labels


def test_an_au_that_any_line_marks_with_a_side_has_a_label_per_side(root: Path) -> None:
    others = dict.fromkeys(("AU1", "AU2", "AU4", "AU26"), 0)
    assert labels_of(root) == {
        1: others | {"AU1": 1, "AU2": 1, "AU12_L": 1, "AU12_R": 0},
        3: others | {"AU26": 1, "AU12_L": 1, "AU12_R": 1},
        4: others | {"AU12_L": 1, "AU12_R": 1},
    }


def test_the_images_are_one_recording_of_people_unknown(root: Path) -> None:
    found = read("raf_au", root)
    assert list(found) == ["aligned"]
    images = found["aligned"]
    assert (images.subject, images.domain, images.excluded, images.file) == ("", "", {}, root / "aligned")
    assert images.frames == {number: root / f"aligned/{number:04d}_aligned.jpg" for number in range(1, 5)}


def test_null_is_not_annotated_or_no_au_as_the_user_says(root: Path) -> None:
    assert 2 not in labels_of(root)
    absent = dict.fromkeys(("AU1", "AU2", "AU4", "AU26", "AU12_L", "AU12_R"), 0)
    assert labels_of(root, uncoded="absent")[2] == absent


def test_lines_and_images_without_the_other_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_file(root / "aligned/0700_aligned.jpg")
    frames = read("raf_au", root)["aligned"].frames
    assert frames is not None
    assert list(frames) == [1, 2, 3, 4]
    assert "RAF-AU: left out without an image: 1, such as 0005" in caplog.text
    assert "RAF-AU: left out without labels: 1, such as 0700" in caplog.text


def test_padding_line_ends_and_order_can_differ(root: Path) -> None:
    plain = labels_of(root)
    write_file(
        root / "RAFAU_label.txt",
        b"5.jpg 4\r\n04.jpg\tl12+R12\r\n\r\n00003.JPG 26+12\r\n2.jpg NULL\r\n1.jpg 01+02+L12\r\n1.jpg 2+1+L12",
    )
    (root / "aligned/0003_aligned.jpg").rename(root / "aligned/3_aligned.JPG")
    assert labels_of(root) == plain


def test_codes_that_are_no_au_are_left_out(root: Path) -> None:
    plain = labels_of(root)
    write_file(root / "RAFAU_label.txt", LINES.replace(b"12+26 ", b"12+26+64"))
    assert labels_of(root) == plain


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0002.jpg 1+x", "expected AUs as '1+2+L12', or null, got '1+x'; restore the original file"),
        ("0002.jpg B12", "expected AUs as '1+2+L12', or null, got 'B12'; restore the original file"),
        ("0002.jpg", "expected an image and its AUs as '0001.jpg 1+2+L12', got '0002.jpg'; restore the original file"),
        ("happy 12", "expected an image and its AUs as '0001.jpg 1+2+L12', got 'happy 12'; restore the original file"),
        ("0001.jpg 4", "expected one line per image, got different AUs for 0001.jpg; keep the right one"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(root: Path, line: str, problem: str) -> None:
    write_file(root / "RAFAU_label.txt", f"0001.jpg 1+2\n{line}\n".encode())
    assert error_of("raf_au", root) == f"ROOT/RAFAU_label.txt:2: {problem}"


def test_an_empty_root_and_an_unknown_choice_are_refused(tmp_path: Path) -> None:
    assert error_of("raf_au", tmp_path) == (
        "root: expected RAF-AU as RAFAU_label.txt and aligned/0001_aligned.jpg in 'ROOT', got an empty folder; "
        "check root"
    )
    assert error_of("raf_au", tmp_path, uncoded="zero").startswith("dataset.uncoded: expected missing or absent")
