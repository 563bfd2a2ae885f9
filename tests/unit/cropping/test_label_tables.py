"""Labels of a data set beside its crops, and its folds."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from faceflow.cropping.clips import Clip, clips_of
from faceflow.cropping.crop_rows import FaceRow, write_rows
from faceflow.cropping.label_tables import (
    LabelledCrop,
    annotated_aus,
    choose_folds,
    labelled_crops,
    write_folds,
    write_labels,
)
from faceflow.datasets.published import Recording
from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


def clip_of(labels: Mapping[int, Mapping[str, float]], **changes: Any) -> Clip:
    values: dict[str, Any] = {
        **{"name": "S1/left", "file": Path("a.avi"), "frames": None, "subject": "S1", "domain": "left"},
        **{"labels": labels, "excluded": {}},
    }
    (clip,) = clips_of([Recording(**(values | changes))])
    return clip


def rows_of(path: Path, frames: Mapping[int, str], crops: Mapping[int, str] | None = None) -> Path:
    """Rows of frames by status; those that are ok or tracked have a crop."""
    named = {n: f"S1/left/{n}.jpg" for n, status in frames.items() if status in ("ok", "tracked")} | dict(crops or {})
    rows = [
        FaceRow(file="a.avi", frame=n, time_s=0.0, status=status, crop=named.get(n, ""))  # type: ignore[arg-type]
        for n, status in frames.items()
    ]
    write_rows(path, rows)
    return path


def au1(frames: range) -> dict[int, dict[str, float]]:
    return {n: {"AU1": n % 6} for n in frames}


def test_the_frame_number_joins_crops_and_labels(tmp_path: Path) -> None:
    frames = {1: "ok", 2: "no_face", 3: "tracked", 4: "decode_error", 5: "ok", 6: "ok"}
    clip = clip_of(au1(range(1, 6)), excluded={5: "bad", 9: "bad"})
    crops, count = labelled_crops(clip, rows_of(tmp_path / "rows.csv", frames), ALL)
    assert crops == [
        LabelledCrop({"AU1": 1}, "S1/left/1.jpg", "S1", 1, "S1/left", "left"),
        LabelledCrop({"AU1": 3}, "S1/left/3.jpg", "S1", 3, "S1/left", "left"),
    ]
    assert (count.labelled, count.kept, count.excluded, count.decoded, count.last_label) == (5, 2, 1, 6, 5)


@pytest.mark.parametrize(
    ("labelled", "decoded", "settings", "mismatch"),
    [
        (20, 20, {}, None),
        (19, 20, {}, (19, 20)),  # as SN010
        (25, 20, {}, (25, 20)),
        (0, 20, {}, None),
        (20, 0, {}, (20, 0)),
        (20, 20, {"every": 5}, None),  # 16 was the last frame read
        (18, 20, {"every": 5}, None),
        (15, 20, {"every": 5}, (15, 16)),
        (21, 20, {"every": 5}, (21, 16)),
        (20, 8, {"end_s": 0.35}, None),
    ],
)
def test_labels_and_video_of_different_length_are_told_with_both_numbers(
    tmp_path: Path, labelled: int, decoded: int, settings: dict[str, Any], mismatch: tuple[int, int] | None
) -> None:
    frames = FrameRange(**({"every": 1, "start_s": 0.0, "end_s": None} | settings))
    read = {n: "ok" for n in range(1, decoded + 1, frames.every)} or {0: "decode_error"}
    rows = rows_of(tmp_path / "rows.csv", read)
    _, count = labelled_crops(clip_of(au1(range(1, labelled + 1))), rows, frames)
    expected = mismatch and f"S1/left: labels up to frame {mismatch[0]}, but {mismatch[1]} frames in the video"
    assert count.mismatch == expected


def test_frames_that_a_truncated_video_lacks_count_as_missing(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "rows.csv", {1: "ok", 2: "no_face", 3: "decode_error", 4: "decode_error"})
    _, count = labelled_crops(clip_of(au1(range(1, 5))), rows, ALL)
    assert count.mismatch == "S1/left: labels up to frame 4, but 2 frames in the video"


def test_images_are_numbered_by_their_names_so_nothing_can_differ(tmp_path: Path) -> None:
    clip = clip_of(au1(range(1, 50)), frames={7: Path("7.jpg")})
    crops, count = labelled_crops(clip, rows_of(tmp_path / "rows.csv", {7: "ok"}), ALL)
    assert [crop.labels for crop in crops] == [{"AU1": 1}]
    assert count.mismatch is None


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def crop(subject: str, frame: int, labels: dict[str, float], domain: str = "") -> LabelledCrop:
    return LabelledCrop(labels, f"{subject}/{frame}.jpg", subject, frame, subject, domain)


def test_scores_are_written_as_numbers_and_unknown_ones_empty(tmp_path: Path) -> None:
    crops = [crop("Zoë", 1, {"AU1": 3.0, "AU12_L": 0.5}), crop("B", 2, {"AU2": float("nan"), "AU1": 0})]
    write_labels(tmp_path / "labels.csv", crops, ["AU1", "AU2", "AU12_L"])
    assert (tmp_path / "labels.csv").read_text("utf-8") == (
        "AU1,AU2,AU12_L,filename,subject,frame,video\n3,,0.5,Zoë/1.jpg,Zoë,1,Zoë\n0,,,B/2.jpg,B,2,B\n"
    )


def test_the_domain_is_written_where_there_is_one_and_a_header_always(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.csv", [crop("A", 1, {"AU1": 1}, "left")], ["AU1"])
    assert read(tmp_path / "labels.csv")[0]["domain"] == "left"
    write_labels(tmp_path / "none.csv", [], ["AU1"])
    assert (tmp_path / "none.csv").read_text("utf-8") == "AU1,filename,subject,frame,video,domain\n"


def test_annotated_aus_are_in_facs_order() -> None:
    clips = [clip_of({1: {"AU12": 0, "AU2": 1}}), clip_of({1: {"AU1": 0}, 2: {"AU6": 1}})]
    assert annotated_aus(clips) == ["AU1", "AU2", "AU6", "AU12"]


PUBLISHED = {"three": {"1": ["S1", "S9"], "2": ["S2"], "3": ["S8"]}}


def test_published_folds_keep_the_subjects_present(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        folds = choose_folds("published", PUBLISHED, ["S2", "S1", "S1", "S5"])
    assert folds == {"three_1": ["S1"], "three_2": ["S2"]}
    assert caplog.messages == [
        "folds: fold three_3 skipped: none of its test subjects are in the data; use folds=3 to split those present",
        "folds: S5 are in no published fold, so they are in every train.csv",
    ]


def test_a_number_of_folds_tests_everybody_once() -> None:
    folds = choose_folds(3, {}, ["S4", "S1", "S3", "S2", "S1"])
    assert folds == {"3fold_1": ["S1", "S4"], "3fold_2": ["S2"], "3fold_3": ["S3"]}
    assert choose_folds(None, PUBLISHED, ["S1"]) == {}


@pytest.mark.parametrize(
    ("folds", "published", "line"),
    [
        ("published", {}, "folds: expected a data set with published folds, got one without; try folds=3"),
        ("publisht", PUBLISHED, "folds: expected published, a whole number >= 2, or null, got 'publisht'"),
        (1, {}, "folds: expected published, a whole number >= 2, or null, got 1"),
        (True, {}, "folds: expected published, a whole number >= 2, or null, got True"),
        (3, {}, "folds: expected at most as many folds as subjects (2), got 3; use fewer folds"),
    ],
)
def test_other_folds_are_refused(folds: Any, published: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_folds(folds, published, ["S1", "S2"])
    assert str(caught.value) == line


def test_no_subject_is_in_both_parts_of_a_fold(tmp_path: Path) -> None:
    crops = [crop(subject, frame, {"AU1": 1}) for subject in ("S1", "S2", "S3") for frame in (1, 2)]
    write_folds(tmp_path, {"a": ["S1", "S3"], "b": ["S2"]}, crops, ["AU1"])
    parts = {
        f"{path.parent.name}/{path.stem}": [row["filename"] for row in read(path)] for path in tmp_path.rglob("*.csv")
    }
    assert parts == {
        "a/train": ["S2/1.jpg", "S2/2.jpg"],
        "a/test": ["S1/1.jpg", "S1/2.jpg", "S3/1.jpg", "S3/2.jpg"],
        "b/train": ["S1/1.jpg", "S1/2.jpg", "S3/1.jpg", "S3/2.jpg"],
        "b/test": ["S2/1.jpg", "S2/2.jpg"],
    }
