from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.datasets.disfa_plus import DISFAPlus
from faceflow.datasets.published import Recording
from faceflow.errors import DataError

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
TRIAL = "A1_AU1_TrailNo_1"


def score(au: int, frame: int) -> int:
    return (au + frame) % 6


def write_file(path: Path, content: bytes = b"never opened") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_trial(root: Path, name: str, *, frames: int = 12) -> None:
    for au in AUS:
        lines = [f"{frame:03d}.jpg {score(au, frame)}\n" for frame in range(frames)]
        write_file(root / f"Labels/{name}/AU{au}.txt", ("# frame intensity\n" + "".join(lines)).encode())
    for frame in range(frames):
        write_file(root / f"Images/{name}/{frame:03d}.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two trials of SN001 and one of SN027, among foreign files and the aligned images."""
    folder = tmp_path / "DISFA+"
    for name in (f"SN001/{TRIAL}", "SN001/Y1", f"SN027/{TRIAL}"):
        write_trial(folder, name)
    for foreign in ("Labels/.DS_Store", f"Labels/SN001/{TRIAL}/.DS_Store", f"Images/SN001/{TRIAL}/Thumbs.db"):
        write_file(folder / foreign, b"\0")
    write_file(folder / f"Aligned/SN001/{TRIAL}/000.jpg")
    return folder


def read(root: Path) -> dict[str, Recording]:
    return {found.name: found for found in DISFAPlus(root=str(root)).recordings()}


def error_of(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(root)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


def test_trials_are_read_with_labels_and_images_by_frame_number(root: Path) -> None:
    found = read(root)
    assert list(found) == [f"SN001/{TRIAL}", "SN001/Y1", f"SN027/{TRIAL}"]
    trial = found[f"SN027/{TRIAL}"]
    folder = root / f"Images/SN027/{TRIAL}"
    assert (trial.subject, trial.domain, trial.file, trial.excluded) == ("SN027", "", folder, {})
    assert trial.frames == {frame: folder / f"{frame:03d}.jpg" for frame in range(12)}
    assert trial.labels == {frame: {f"AU{au}": score(au, frame) for au in AUS} for frame in range(12)}


def test_frames_without_padding_are_ordered_as_numbers(root: Path) -> None:
    folder = root / f"Images/SN001/{TRIAL}"
    for path in folder.glob("*.jpg"):
        path.rename(folder / f"{int(path.stem)}.JPG")
    trial = read(root)[f"SN001/{TRIAL}"]
    assert trial.frames is not None
    assert list(trial.frames) == list(range(12))
    assert trial.frames[10] == folder / "10.JPG"


def test_lines_can_be_unordered_with_crlf_tabs_comments_and_no_last_newline(root: Path) -> None:
    plain = read(root)
    lines = [f"{frame:04d}.jpg\t {score(4, frame)} # coded twice" for frame in reversed(range(12))]
    write_file(root / f"Labels/SN001/{TRIAL}/AU4.txt", ("# x\r\n\r\n" + "\r\n".join(lines)).encode())
    assert read(root) == plain


def test_an_au_without_a_file_and_a_frame_without_a_line_are_not_annotated(root: Path) -> None:
    folder = root / f"Labels/SN001/{TRIAL}"
    (folder / "AU26.txt").unlink()
    write_file(folder / "AU25.txt", b"003.jpg 5\n")
    labels = read(root)[f"SN001/{TRIAL}"].labels
    assert labels[3]["AU25"] == 5
    assert labels[4].keys() == {f"AU{au}" for au in AUS} - {"AU25", "AU26"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("3 2", "expected a frame and a label separated by a space, got '3 2'"),
        ("003.jpg,2", "expected a frame and a label separated by a space, got '003.jpg,2'"),
        ("003.jpg", "expected a frame and a label separated by a space, got '003.jpg'"),
        ("003.jpg 6", "expected a whole number from 0 to 5 as label, got '6'"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(root: Path, line: str, problem: str) -> None:
    write_file(root / "Labels/SN001/Y1/AU2.txt", f"# frame intensity\n{line}\n".encode())
    assert error_of(root) == f"ROOT/Labels/SN001/Y1/AU2.txt:2: {problem}; restore the original file"


def test_two_images_of_one_frame_are_refused(root: Path) -> None:
    write_file(root / "Images/SN001/Y1/3.png")
    assert error_of(root) == (
        "ROOT/Images/SN001/Y1/3.png: expected one file for frame 3, got 'ROOT/Images/SN001/Y1/003.jpg' too; remove one"
    )


def test_images_of_other_frames_than_the_labels_are_refused(root: Path) -> None:
    for path in (root / "Images/SN001/Y1").iterdir():
        path.rename(path.with_name(f"{int(path.stem) + 500}.jpg"))
    assert error_of(root) == (
        "ROOT/Images/SN001/Y1: expected images of the labelled frames 0 to 11, got 500 to 511; restore the original "
        "file names"
    )


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "Images/holiday.jpg")
    assert error_of(tmp_path) == (
        "root: expected DISFA+ as Labels/SN001/TRIAL/AU1.txt and Images/SN001/TRIAL/000.jpg in 'ROOT', got 'Images'; "
        "check root"
    )
