"""Tables and pictures at the end of a run."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from faceflow.cropping.clips import Clip, find_clips
from faceflow.cropping.crop_clip import rows_file
from faceflow.cropping.crop_rows import FaceRow, Status, write_rows
from faceflow.cropping.crop_summary import Failure, draw_crops, draw_failures, statuses, summary_table
from faceflow.images import read_image
from tests.helpers.markers import blank, write_photo, write_video


def printed(counts: list[tuple[str, Counter[str]]]) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as capture:
        console.print(summary_table(counts))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_statuses_are_counted_and_failures_named(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", [blank()])
    (clip,) = find_clips([str(tmp_path / "a.avi")])
    found: list[Status] = ["ok", "tracked", "no_face", "ok", "low_confidence", "decode_error"]
    rows = [FaceRow(file="a", frame=n, time_s=None, status=status) for n, status in enumerate(found, start=1)]
    write_rows(rows_file(tmp_path, clip), rows)
    counts, failures = statuses(tmp_path, clip)
    assert counts == {"ok": 2, "tracked": 1, "no_face": 1, "low_confidence": 1, "decode_error": 1}
    assert [(failure.frame, failure.status) for failure in failures] == [
        *((3, "no_face"), (5, "low_confidence"), (6, "decode_error")),
    ]


def test_the_worst_clips_come_first_with_their_share_and_the_sum_last() -> None:
    counts = [(f"clip{n:02d} [x]", Counter(ok=100 - n, no_face=n)) for n in range(12)]
    lines = printed([*counts, ("", Counter(tracked=3, decode_error=1))])
    rows = [line for line in lines if "%" in line]
    assert rows[0] == "(images at the top) 4 0 3 0 0 1 25.0 %"
    assert rows[1] == "clip11 [x] 100 89 0 11 0 0 11.0 %"
    assert rows[9] == "clip03 [x] 100 97 0 3 0 0 3.0 %"
    assert rows[10] == "all 13 1204 1134 3 66 0 1 5.6 %"
    assert "... 3 more with fewer failures" in lines


def is_drawn(sheet: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether a picture shows a patch of a colour."""
    return int((np.abs(sheet.astype(int) - colour).max(axis=2) < 12).sum()) > 2000


def test_crops_are_drawn_with_their_names(tmp_path: Path) -> None:
    for n, shade in enumerate((30, 120, 210)):
        write_photo(tmp_path / f"crops/{n}.png", blank(64, 64, shade))
    path = tmp_path / "sheet.png"
    draw_crops(tmp_path, ["0.png", "1.png", "2.png"], 24, path)
    sheet = read_image(path)
    assert all(is_drawn(sheet, (shade,) * 3) for shade in (30, 120, 210))
    captions = sheet[24 + 160 - 16 : 24 + 160]
    assert captions.min() < 120  # letters
    first = path.read_bytes()
    draw_crops(tmp_path, ["0.png", "1.png", "2.png"], 24, path)
    assert path.read_bytes() == first
    draw_crops(tmp_path, ["0.png", "1.png", "2.png"], 0, path)
    assert not path.exists()


def test_crops_of_one_number_are_told_apart_by_their_clips(tmp_path: Path) -> None:
    crops = [f"{clip}/000001.png" for clip in "ab"]
    for crop in crops:
        write_photo(tmp_path / "crops" / crop, blank(64, 64))
    sheets = []
    for crop in crops:
        draw_crops(tmp_path, [crop], 1, tmp_path / "sheet.png")
        sheets.append((tmp_path / "sheet.png").read_bytes())
    assert sheets[0] != sheets[1]


def test_failures_are_named_by_frame_or_by_photograph(tmp_path: Path) -> None:
    write_video(tmp_path / "in/b/film.avi", [blank()])
    write_photo(tmp_path / "in/last.png", blank())
    photographs, video = find_clips([str(tmp_path / "in")])
    assert Failure(video, 7, "no_face").caption == "film 7: no_face"
    assert Failure(photographs, 1, "no_face").caption == "last.png: no_face"


def test_failures_are_drawn_from_videos_and_photographs(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    frames = [np.full((64, 96, 3), colour, np.uint8) for colour in colours]
    write_video(tmp_path / "in/a.avi", frames)
    write_photo(tmp_path / "in/Zoë.png", np.full((400, 300, 3), (250, 220, 20), np.uint8))
    (tmp_path / "in/broken.png").write_bytes(b"no image")
    photographs, video = find_clips([str(tmp_path / "in")])
    failed = [(video, 2, "no_face"), (video, 3, "decode_error"), (photographs, 1, "no_face")]
    failures = [Failure(*entry) for entry in [*failed, (photographs, 2, "decode_error"), (video, 0, "decode_error")]]
    draw_failures(failures, 24, tmp_path / "failures.png")
    sheet = read_image(tmp_path / "failures.png")
    assert is_drawn(sheet, colours[1])
    assert is_drawn(sheet, (250, 220, 20))
    assert not is_drawn(sheet, colours[2])


def test_photographs_that_are_cut_off_are_not_drawn_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write_photo(tmp_path / "in/a.jpg", np.full((400, 300, 3), (250, 220, 20), np.uint8)).read_bytes()
    (tmp_path / "in/a.jpg").write_bytes(whole[: len(whole) // 2])
    (photographs,) = find_clips([str(tmp_path / "in")])
    draw_failures([Failure(photographs, 1, "decode_error")], 24, tmp_path / "failures.png")
    assert not (tmp_path / "failures.png").exists()
    assert capfd.readouterr().err == ""


def test_frames_without_a_face_are_drawn_though_many_do_not_decode(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.png", np.full((400, 300, 3), (250, 220, 20), np.uint8))
    (photographs,) = find_clips([str(tmp_path / "in")])
    failures = [Failure(photographs, 2, "decode_error")] * 500 + [Failure(photographs, 1, "no_face")]
    draw_failures(failures, 2, tmp_path / "failures.png")
    assert is_drawn(read_image(tmp_path / "failures.png"), (250, 220, 20))


def test_nothing_is_drawn_where_nothing_can_be_and_an_old_picture_goes(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "failures.png", blank())
    lost = Clip(name="a", file=tmp_path / "a.avi", images=None, sequence=True)
    draw_failures([Failure(lost, 1, "no_face")], 24, path)
    assert not path.exists()
