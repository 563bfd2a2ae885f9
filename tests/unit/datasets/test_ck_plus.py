from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.published import error_of, read, write_file


def facs_file(root: Path, sequence: str, frame: int) -> Path:
    subject, number = sequence.split("/")
    return root / f"FACS/{sequence}/{subject}_{number}_{frame:08d}_facs.txt"


def write_images(root: Path, sequence: str, frames: range) -> Path:
    subject, number = sequence.split("/")
    folder = root / f"cohn-kanade-images/{sequence}"
    for frame in frames:
        write_file(folder / f"{subject}_{number}_{frame:08d}.png")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """S010/001 of 14 frames and S011/002 of 3; S012/001 was not coded."""
    folder = tmp_path / "CK+"
    write_file(
        facs_file(folder, "S010/001", 14),
        b"   1.0000000e+00   3.0000000e+00\n   1.2000000e+01   0.0000000e+00\n   6.4000000e+01   0.0000000e+00\n",
    )
    write_file(facs_file(folder, "S011/002", 3), b"   4.0000000e+00   5.0000000e+00\n")
    write_images(folder, "S010/001", range(1, 15))
    write_images(folder, "S011/002", range(1, 4))
    write_images(folder, "S012/001", range(1, 3))
    for foreign in ("FACS/.DS_Store", "FACS/S010/001/.DS_Store", "cohn-kanade-images/S010/001/Thumbs.db"):
        write_file(folder / foreign, b"\0")
    write_file(folder / "cohn-kanade-images/S010/001/._S010_001_00000014.png", b"\0")
    return folder


def test_the_peak_frame_is_labelled_with_every_au_that_any_file_lists(root: Path) -> None:
    found = read("ck_plus", root)
    assert list(found) == ["S010/001", "S011/002"]
    images = root / "cohn-kanade-images"
    sequence = found["S010/001"]
    assert (sequence.subject, sequence.domain, sequence.excluded) == ("S010", "", {})
    assert sequence.file == images / "S010/001"
    assert sequence.frames == {14: images / "S010/001/S010_001_00000014.png"}
    assert found["S011/002"].labels == {3: {"AU1": 0, "AU4": 1, "AU12": 0}}


def test_an_intensity_of_0_means_present(root: Path) -> None:
    assert read("ck_plus", root)["S010/001"].labels == {14: {"AU1": 1, "AU4": 0, "AU12": 1}}


def test_all_frames_include_those_before_the_peak_without_labels(root: Path) -> None:
    sequence = read("ck_plus", root, frames="all")["S010/001"]
    assert sequence.frames is not None
    assert list(sequence.frames) == list(range(1, 15))
    assert list(sequence.labels) == [14]


def test_a_peak_that_lists_nothing_is_neutral(root: Path) -> None:
    write_file(facs_file(root, "S011/002", 3), b"\n")
    assert read("ck_plus", root)["S011/002"].labels == {3: {"AU1": 0, "AU12": 0}}


def test_padding_spaces_and_line_ends_can_differ(root: Path) -> None:
    plain = read("ck_plus", root)["S010/001"].labels
    facs_file(root, "S010/001", 14).unlink()
    write_file(root / "FACS/S010/001/S010_001_014_facs.txt", b"12.0 0\r\n\r\n 1   3.0")
    assert read("ck_plus", root)["S010/001"].labels == plain


def test_the_folders_can_be_nested_once(root: Path) -> None:
    plain = {name: found.labels for name, found in read("ck_plus", root).items()}
    (root / "labels").mkdir()
    (root / "FACS").rename(root / "labels/FACS")
    assert {name: found.labels for name, found in read("ck_plus", root).items()} == plain


def test_a_sequence_without_its_peak_image_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "cohn-kanade-images/S011/002/S011_002_00000003.png").unlink()
    assert list(read("ck_plus", root)) == ["S010/001"]
    assert "without an image of a labelled frame: 1, such as S011/002" in caplog.text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 high", "expected a whole number from 0 to 5 as label, got 'high'; restore the original file"),
        ("1 7", "expected a whole number from 0 to 5 as label, got '7'; restore the original file"),
        ("1", "expected the number of an AU and its intensity, got '1'; restore the original file"),
        ("4 3", "expected one label per frame, got different values for frame 3; keep one line"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(root: Path, line: str, problem: str) -> None:
    write_file(facs_file(root, "S011/002", 3), f"4 5\n{line}".encode())
    assert error_of("ck_plus", root) == f"ROOT/FACS/S011/002/S011_002_00000003_facs.txt:2: {problem}"


def test_an_empty_root_and_an_unknown_choice_are_refused(tmp_path: Path) -> None:
    assert error_of("ck_plus", tmp_path) == (
        "root: expected CK+ as FACS/S010/001/S010_001_00000014_facs.txt and "
        "cohn-kanade-images/S010/001/S010_001_00000014.png in 'ROOT', got an empty folder; check root"
    )
    assert error_of("ck_plus", tmp_path, frames="peak").startswith(
        "dataset.frames: expected labeled or all, got 'peak'"
    )
