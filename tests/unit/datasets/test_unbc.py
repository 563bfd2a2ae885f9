from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.published import error_of, read, write_file

SEQUENCE = "042-ll042/ll042t1aaaff"
NAME = "042-LL042/ll042t1aaaff"
NEUTRAL = dict.fromkeys(("AU4", "AU6", "AU7", "AU9", "AU10", "AU12", "AU20", "AU25", "AU26"), 0.0)


def row(au: int, intensity: int) -> str:
    return f"   {au:.7e}   {intensity:.7e}   0.0000000e+00   0.0000000e+00\n"


def write_labels(root: Path, frame: int, listed: Mapping[int, int], sequence: str = SEQUENCE) -> None:
    stem = f"{sequence.partition('/')[2]}{frame:03d}"
    content = "".join(row(au, intensity) for au, intensity in listed.items())
    write_file(root / f"Frame_Labels/FACS/{sequence}/{stem}_facs.txt", content.encode())
    write_file(root / f"Frame_Labels/PSPI/{sequence}/{stem}_facs.txt", b"   2.0000000e+00\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four frames of one sequence; frame 3 has no image, and frame 4 no labels."""
    folder = tmp_path / "UNBC"
    write_labels(folder, 1, {})
    write_labels(folder, 2, {6: 3, 12: 5, 43: 1, 14: 2})
    write_labels(folder, 3, {4: 1})
    for frame in (1, 2, 4):
        write_file(folder / f"Images/{SEQUENCE}/ll042t1aaaff{frame:03d}.png")
    for foreign in (f"Frame_Labels/FACS/{SEQUENCE}/.DS_Store", f"Images/{SEQUENCE}/Thumbs.db", "Images/.DS_Store"):
        write_file(folder / foreign, b"\0")
    write_file(folder / f"Images/{SEQUENCE}/._ll042t1aaaff001.png", b"\0")
    return folder


def test_listed_aus_have_their_intensity_and_the_others_are_absent(root: Path) -> None:
    found = read("unbc", root)
    assert list(found) == [NAME]
    sequence = found[NAME]
    images = root / f"Images/{SEQUENCE}"
    assert (sequence.subject, sequence.domain, sequence.excluded, sequence.file) == ("042-LL042", "", {}, images)
    assert sequence.labels[1] == NEUTRAL
    assert sequence.labels[2] == NEUTRAL | {"AU6": 3, "AU12": 5}
    assert sequence.frames == {1: images / "ll042t1aaaff001.png", 2: images / "ll042t1aaaff002.png"}


def test_occurrence_adds_the_au_that_is_not_graded(root: Path) -> None:
    labels = read("unbc", root, labels="occurrence")[NAME].labels
    absent = NEUTRAL | {"AU43": 0}
    assert labels == {1: absent, 2: absent | {"AU6": 1, "AU12": 1, "AU43": 1}, 3: absent | {"AU4": 1}}


def test_an_au_whose_strength_was_not_graded_is_present_without_an_intensity(root: Path) -> None:
    write_labels(root, 1, {9: 0})
    assert read("unbc", root)[NAME].labels[1] == {au: 0 for au in NEUTRAL if au != "AU9"}
    assert read("unbc", root, labels="occurrence")[NAME].labels[1]["AU9"] == 1


def test_padding_spaces_and_line_ends_can_differ(root: Path) -> None:
    plain = read("unbc", root)[NAME].labels
    folder = root / f"Frame_Labels/FACS/{SEQUENCE}"
    (folder / "ll042t1aaaff002_facs.txt").unlink()
    write_file(folder / "ll042t1aaaff00002_facs.txt", b"\r\n43.0 1\r\n  12 5.0 10 20\r\n6\t3 0 0")
    (root / f"Images/{SEQUENCE}/ll042t1aaaff002.png").rename(root / f"Images/{SEQUENCE}/2.png")
    sequence = read("unbc", root)[NAME]
    assert sequence.labels == plain
    assert sequence.frames is not None
    assert sequence.frames[2].name == "2.png"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("6 x 0 0", "expected a whole number from 0 to 5 as label, got 'x'; restore the original file"),
        ("6 6 0 0", "expected a whole number from 0 to 5 as label, got '6'; restore the original file"),
        ("6", "expected the number of an AU and its intensity, got '6'; restore the original file"),
        ("6.5 1", "expected the number of an AU and its intensity, got '6.5 1'; restore the original file"),
        ("AU6 1", "expected the number of an AU and its intensity, got 'AU6 1'; restore the original file"),
        ("4 2", "expected one label per frame, got different values for frame 1; keep one line"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(root: Path, line: str, problem: str) -> None:
    name = f"Frame_Labels/FACS/{SEQUENCE}/ll042t1aaaff001_facs.txt"
    write_file(root / name, f"4 1 0 0\n{line}\n".encode())
    assert error_of("unbc", root) == f"ROOT/{name}:2: {problem}"


def test_two_images_of_one_frame_are_refused(root: Path) -> None:
    write_file(root / f"Images/{SEQUENCE}/ll042t1aaaff02.png")
    assert error_of("unbc", root).endswith(
        f"expected one file for frame 2, got 'ROOT/Images/{SEQUENCE}/ll042t1aaaff002.png' too; remove one"
    )


def test_a_sequence_without_an_image_of_its_frames_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = "043-jh043/jh043t1aaaff"
    write_labels(root, 1, {}, other)
    write_file(root / f"Images/{other}/jh043t1aaaff009.png")
    assert list(read("unbc", root)) == [NAME]
    assert "without an image of a labelled frame: 1, such as 043-JH043/jh043t1aaaff" in caplog.text


def test_images_of_other_frames_throughout_are_refused(root: Path) -> None:
    for path in (root / f"Images/{SEQUENCE}").glob("ll*.png"):
        path.rename(path.with_name(f"{int(path.stem[-3:]) + 500}.png"))
    assert error_of("unbc", root) == (
        f"ROOT/Images/{SEQUENCE}: expected images of labelled frames, got none, nor in any of the 1 recordings of "
        "UNBC-McMaster; restore the original file names"
    )


def test_an_empty_root_a_missing_one_and_an_unknown_choice_are_refused(tmp_path: Path) -> None:
    assert error_of("unbc", tmp_path) == (
        "root: expected UNBC-McMaster as Frame_Labels/FACS/042-ll042/SEQUENCE/001_facs.txt and "
        "Images/042-ll042/SEQUENCE/001.png in 'ROOT', got an empty folder; check root"
    )
    assert error_of("unbc", None) == "dataset.root: expected the folder of UNBC-McMaster, got nothing; set root=FOLDER"
    assert error_of("unbc", tmp_path, labels="pspi").startswith(
        "dataset.labels: expected intensity or occurrence, got 'pspi'"
    )
