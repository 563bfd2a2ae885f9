"""Which files are cropped, and the names of their crops."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceflow.cropping.clips import Clip, clips_of, find_clips, search
from faceflow.datasets.published import Recording
from faceflow.errors import DataError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def named(clips: list[Clip]) -> dict[str, list[str]]:
    """Clips by name; frame names of images, nothing for videos."""
    return {clip.name: [clip.frame_name(number) for number in clip.images or ()] for clip in clips}


def test_a_folder_is_searched_to_the_bottom(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "day/b.AVI", "day/x.jpg", "day/y.PNG", "z.tif", "notes.txt", ".hidden/c.mp4", ".d.jpg")
    clips = find_clips([str(tmp_path)])
    assert named(clips) == {"": ["z"], "a": [], "day": ["x", "y"], "day/b": []}
    assert [clip.sequence for clip in clips] == [False, True, False, True]
    assert [clip.file for clip in clips] == [tmp_path, tmp_path / "a.mp4", tmp_path / "day", tmp_path / "day/b.AVI"]


def test_frames_of_videos_are_named_by_number_and_photographs_by_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b/x.jpg", "b/w.jpg")
    video, photographs = find_clips([str(tmp_path)])
    assert video.frame_name(7) == "000007"
    assert video.frame_file(7) == str(tmp_path / "a.mp4")
    assert photographs.frame_name(2) == "x"
    assert photographs.frame_file(2) == str(tmp_path / "b/x.jpg")


def test_one_file_and_a_pattern_are_named_below_what_they_share(tmp_path: Path) -> None:
    touch(tmp_path, "s1/left/a.mp4", "s1/left/b.mp4", "s2/left/a.mp4", "s2/right/c.mp4")
    assert named(find_clips([str(tmp_path / "s1/left/a.mp4")])) == {"a": []}
    assert named(find_clips([f"{tmp_path}/*/left/*.mp4"])) == {"s1/left/a": [], "s1/left/b": [], "s2/left/a": []}
    assert named(find_clips([f"{tmp_path}/**/c.mp4"])) == {"c": []}


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "take[1].mp4", "take1.mp4")
    assert named(find_clips([str(tmp_path / "take[1].mp4")])) == {"take[1]": []}


def test_the_same_name_in_two_folders_makes_two_clips(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.mp4", "two/a.mp4", "one/x.jpg", "two/x.jpg")
    clips = find_clips([str(tmp_path / "one"), str(tmp_path / "two")])
    elsewhere = (tmp_path / "two").as_posix().lstrip("/")
    assert named(clips) == {"": ["x"], "a": [], elsewhere: ["x"], f"{elsewhere}/a": []}


def test_names_that_differ_in_the_extension_keep_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.avi", "a.mp4.mkv", "b.mp4", "b/x.jpg", "p/x.jpg", "p/x.png", "p/x.jpg.bmp", "p/y.jpg")
    clips = find_clips([str(tmp_path)])
    assert named(clips) == {
        "a.avi": [],
        "a.mp4": [],
        "a.mp4.mkv": [],
        "b": ["x"],
        "b.mp4": [],
        "p": ["x.jpg", "x.jpg.bmp", "x.png", "y"],
    }


def test_no_file_is_cropped_twice(tmp_path: Path) -> None:
    touch(tmp_path, "day/a.mp4", "day/x.jpg")
    sources = [str(tmp_path), str(tmp_path / "day"), f"{tmp_path}/day/../day/a.mp4"]
    assert named(find_clips(sources)) == {"day": ["x"], "day/a": []}


def test_results_of_an_earlier_run_are_no_sources(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "crops/a/000001.jpg", "contact_sheet.png", "crops.csv", "sub/crops/x.jpg")
    results = [tmp_path / "crops", tmp_path / "contact_sheet.png"]
    assert named(find_clips([str(tmp_path)], skip=results)) == {"a": [], "sub/crops": ["x"]}


def test_nothing_to_crop_is_named_with_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "b.txt", "c.psd")
    with pytest.raises(DataError, match=r"^source: expected images \(apng avif .*\) or videos .*, got 2 x .txt, 1"):
        find_clips([str(tmp_path)])
    with pytest.raises(DataError, match=r"^source: expected a file, a folder or a pattern .*, got '/no/x\*'; "):
        find_clips(["/no/x*"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"got no file in '.*/empty'; check the path$"):
        find_clips([str(tmp_path / "empty")])


def test_non_ascii_names_stay(tmp_path: Path) -> None:
    touch(tmp_path, "Zoë/Fräulein 顔.mp4")
    assert named(find_clips([str(tmp_path)])) == {"Zoë/Fräulein 顔": []}


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_no_utf8_are_refused_and_in_folders_passed_over(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    Path(path).touch()
    with pytest.raises(DataError, match=r"^source: expected file names in UTF-8, got b'.*/caf\\xe9.mp4'; rename it$"):
        find_clips([path])
    touch(tmp_path, "a.mp4")
    found = search([str(tmp_path)])
    assert named(found.clips) == {"a": []}
    assert found.passed_over == {"with a name that is not UTF-8": 1}


def test_recordings_are_sequences_named_by_number(tmp_path: Path) -> None:
    images = {3: tmp_path / "3.jpg", 12: tmp_path / "12.jpg"}
    recording = Recording(
        name="F001/T1", file=tmp_path, frames=images, subject="F001", domain="", labels={}, excluded={}
    )
    (clip,) = clips_of([recording])
    assert (clip.name, clip.sequence, clip.recording) == ("F001/T1", True, recording)
    assert [clip.frame_name(number) for number in images] == ["000003", "000012"]
    assert clip.frame_file(12) == str(tmp_path / "12.jpg")


def test_files_that_are_passed_over_are_counted_once_by_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.AVIF", "c.mp4", "notes.txt", "sub/more.TXT", "sub/raw.cr2", "README", ".hidden.txt")
    found = search([str(tmp_path), str(tmp_path / "sub" / "..")], skip=[tmp_path / "sub/raw.cr2"])
    assert named(found.clips) == {"": ["a", "b"], "c": []}
    assert found.passed_over == {".txt": 2, "no suffix": 1}
    line = "Skipped 3 files without the suffix of a video or image: 2 .txt, 1 no suffix"
    assert found.line() == line


def test_brackets_of_a_folder_are_no_pattern_and_those_behind_it_are(tmp_path: Path) -> None:
    touch(tmp_path, "take [1]/a1.mp4", "take [1]/a2.mp4", "take [1]/b3.mp4")
    assert named(find_clips([f"{tmp_path}/take [1]/a[0-9].mp4"])) == {"a1": [], "a2": []}


def test_names_divided_by_commas_are_told_how_a_list_is_written() -> None:
    with pytest.raises(DataError, match=r"got 'x,y.mp4'; check the path, or write a list: 'source=\[x,y.mp4\]'$"):
        find_clips(["x,y.mp4"])
