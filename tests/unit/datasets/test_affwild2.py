from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.published import build, error_of, read, write_file

AUS = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26")
HEADER = ",".join(AUS)
NOTHING = ",".join(["-1"] * 12)
SMILE = "0,0,0,1,0,0,1,0,0,0,-1,0"  # AU6 and AU12; AU25 was not annotated
SMILE_LABELS = {au: float(au in ("AU6", "AU12")) for au in AUS if au != "AU25"}
REST = ",".join(["0"] * 12)
REST_LABELS = dict.fromkeys(AUS, 0.0)
TRAIN, VALIDATION = "AU_Detection_Challenge/Train_Set", "AU_Detection_Challenge/Validation_Set"


def write_labels(root: Path, name: str, *rows: str) -> None:
    write_file(root / f"{name}.txt", ("\n".join([HEADER, *rows]) + "\n").encode())


def write_crops(root: Path, video: str, *frames: int) -> None:
    for frame in frames:
        write_file(root / f"cropped_aligned/{video}/{frame:05d}.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One video in training, and a video of two people in validation; crop 2 of the first video is missing."""
    folder = tmp_path / "Aff-Wild2"
    write_labels(folder, f"{TRAIN}/video1", SMILE, REST, NOTHING, REST)
    write_labels(folder, f"{VALIDATION}/video2_left", SMILE)
    write_labels(folder, f"{VALIDATION}/video2_right", REST)
    write_crops(folder, "video1", 1, 3, 4)
    write_crops(folder, "video2_left", 1)
    write_crops(folder, "video2_right", 1)
    for foreign in (f"{TRAIN}/.DS_Store", f"{VALIDATION}/._video2_left.txt", "cropped_aligned/video1/Thumbs.db"):
        write_file(folder / foreign, b"\0")
    write_file(folder / "cropped_aligned/.DS_Store", b"\0")
    return folder


def test_row_n_is_frame_n_and_minus_1_is_not_annotated(root: Path) -> None:
    video = read("affwild2", root)["video1"]
    crops = root / "cropped_aligned/video1"
    assert (video.subject, video.domain, video.excluded, video.file) == ("video1", "", {}, crops)
    assert video.labels == {1: SMILE_LABELS, 2: REST_LABELS, 4: REST_LABELS}
    assert video.frames == {1: crops / "00001.jpg", 4: crops / "00004.jpg"}


def test_all_frames_include_crops_that_were_not_annotated(root: Path) -> None:
    frames = read("affwild2", root, frames="all")["video1"].frames
    assert frames is not None
    assert list(frames) == [1, 3, 4]


def test_the_people_of_a_video_of_two_are_two_subjects(root: Path) -> None:
    found = read("affwild2", root)
    assert list(found) == ["video1", "video2_left", "video2_right"]
    assert [recording.subject for recording in found.values()] == list(found)


def test_the_validation_set_is_the_published_fold(root: Path) -> None:
    assert build("affwild2", root).folds == {"abaw": {"validation": ("video2_left", "video2_right")}}


def test_columns_are_read_by_their_header(root: Path) -> None:
    write_file(root / f"{TRAIN}/video1.txt", b"AU26,AU1\n1,0\n-1,1\n")
    assert read("affwild2", root)["video1"].labels == {1: {"AU26": 1, "AU1": 0}, 2: {"AU1": 1}}


def test_padding_line_ends_and_folder_names_can_differ(root: Path) -> None:
    plain = read("affwild2", root)["video1"].labels
    write_file(
        root / f"{TRAIN}/video1.txt",
        f"\ufeff{HEADER}\r\n{SMILE.replace(',', ', ')}\r\n{REST}\r\n{NOTHING}\r\n{REST}".encode(),
    )
    crop = root / "cropped_aligned/video1/00004.jpg"
    crop.rename(crop.with_name("4.JPG"))
    nested = root / "6th ABAW Annotations/AU_Detection_Challenge"
    nested.parent.mkdir()
    (root / "AU_Detection_Challenge").rename(nested)
    (nested / "Train_Set").rename(nested / "Training_Set")
    video = read("affwild2", root)["video1"]
    assert video.labels == plain
    assert video.frames is not None
    assert video.frames[4].name == "4.JPG"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{HEADER}\n{REST}\n{REST[:-1]}2\n", "3: expected a whole number from 0 to 1, or -1 as label, got '2'"),
        (f"{HEADER}\n{REST[:-1]}x\n", "2: expected a whole number from 0 to 1, or -1 as label, got 'x'"),
        (f"{HEADER}\n0,1\n", "2: expected 12 labels as in the header, got 2"),
        (f"{HEADER}\n{REST}\n\n{REST}\n", "3: expected a row for every frame, got an empty line"),
        ("AU1,AU1\n0,0\n", "1: expected a header of AUs, got 'AU1,AU1'"),
        ("AU1,valence\n0,0\n", "1: expected a header of AUs, got 'AU1,valence'"),
        (f"{REST}\n", "1: expected a header of AUs, got '0,0,0,0,0,0,0,0,0,0,0,0'"),
        ("", "1: expected a header of AUs, got ''"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(root: Path, text: str, problem: str) -> None:
    write_file(root / f"{TRAIN}/video1.txt", text.encode())
    assert error_of("affwild2", root) == f"ROOT/{TRAIN}/video1.txt:{problem}; restore the original file"


def test_crops_that_count_from_0_are_refused(root: Path) -> None:
    write_crops(root, "video1", 0)
    assert error_of("affwild2", root).startswith(
        "ROOT/cropped_aligned/video1/00000.jpg: expected crops counted from 1, got frame 0"
    )


def test_crops_after_the_last_label_are_reported(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read("affwild2", root)
    assert "after their last label" not in caplog.text
    write_crops(root, "video1", 5)
    read("affwild2", root)
    assert "videos with crops after their last label: 1, such as video1" in caplog.text


def test_a_video_without_any_annotation_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_labels(root, f"{TRAIN}/video1", NOTHING, NOTHING)
    assert list(read("affwild2", root)) == ["video2_left", "video2_right"]
    assert "without an image of a labelled frame: 1, such as video1" in caplog.text


def test_a_video_in_both_sets_is_refused(root: Path) -> None:
    write_labels(root, f"{VALIDATION}/video1", REST)
    assert error_of("affwild2", root) == (
        f"ROOT/{VALIDATION}/video1.txt: expected each video in one set, got it also as "
        f"'ROOT/{TRAIN}/video1.txt'; remove one"
    )


def test_an_empty_root_and_an_unknown_choice_are_refused(tmp_path: Path) -> None:
    assert error_of("affwild2", tmp_path) == (
        "root: expected Aff-Wild2 as AU_Detection_Challenge/Train_Set/video1.txt and cropped_aligned/video1/00001.jpg "
        "in 'ROOT', got an empty folder; check root"
    )
    assert build("affwild2", tmp_path).folds == {}
    assert error_of("affwild2", tmp_path, frames="some").startswith("dataset.frames: expected labeled or all")
