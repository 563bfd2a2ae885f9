from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest

from faceflow.datasets.disfa import DISFA
from faceflow.datasets.disfa_bad_frames import PRESETS
from faceflow.datasets.published import Recording, ZipMember
from faceflow.errors import ConfigError, DataError

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
FRAMES = 12  # enough that frame 10 would sort before frame 2 as text


def score(subject: int, au: int, frame: int) -> int:
    return (subject + au + frame) % 6


def write_labels(folder: Path, subject: int, *, frames: int = FRAMES) -> None:
    """`ActionUnit_Labels/SN001/SN001_au1.txt` and eleven more, as the data set has them."""
    target = folder / f"SN{subject:03d}"
    target.mkdir(parents=True)
    for au in AUS:
        lines = [f"{frame},{score(subject, au, frame)}\n" for frame in range(1, frames + 1)]
        (target / f"SN{subject:03d}_au{au}.txt").write_bytes("".join(lines).encode())


def write_file(path: Path, content: bytes = b"never opened") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """SN001, SN010 (one frame short) and SN031, from both cameras, among foreign files."""
    folder = tmp_path / "DISFA"
    for subject in (1, 10, 31):
        write_labels(folder / "ActionUnit_Labels", subject, frames=FRAMES - (subject == 10))
        write_file(folder / f"Videos_LeftCamera/LeftVideoSN{subject:03d}_comp.avi")
        write_file(folder / f"Video_RightCamera/RightVideoSN{subject:03d}_comp.avi")
    for foreign in ("", "Videos_LeftCamera", "ActionUnit_Labels", "ActionUnit_Labels/SN001"):
        write_file(folder / foreign / ".DS_Store", b"\0\0\0\1Bud1")
    write_file(folder / "Video_RightCamera/Thumbs.db", b"\xd0\xcf")
    write_file(folder / "Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat")
    return folder


def read(root: Path, camera: str = "left", exclude: str | None = None) -> dict[str, Recording]:
    return {found.name: found for found in DISFA(root=str(root), camera=camera, exclude=exclude).recordings()}


def error_of(root: Path, **settings: Any) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        read(root, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


class TestLabels:
    def test_every_au_of_every_frame_has_the_score_of_its_own_file(self, root: Path) -> None:
        for name, subject, frames in (("SN001/left", 1, 12), ("SN010/left", 10, 11), ("SN031/left", 31, 12)):
            expected = {frame: {f"AU{au}": score(subject, au, frame) for au in AUS} for frame in range(1, frames + 1)}
            assert read(root)[name].labels == expected

    def test_frames_and_aus_are_ordered_as_numbers(self, root: Path) -> None:
        labels = read(root)["SN001/left"].labels
        assert list(labels) == list(range(1, 13))
        assert list(labels[10]) == [f"AU{au}" for au in AUS]

    def test_lines_can_be_unordered_with_crlf_spaces_a_byte_order_mark_and_no_last_newline(self, root: Path) -> None:
        plain = read(root)["SN001/left"].labels
        lines = [f" {frame} , {score(1, 12, frame)} " for frame in (3, 12, 10, 1, 2, 4, 11, 9, 5, 6, 8, 7, 7)]
        content = b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n\r\n  "
        write_file(root / "ActionUnit_Labels/SN001/SN001_au12.txt", content)
        assert read(root)["SN001/left"].labels == plain

    def test_a_frame_that_one_file_lacks_lacks_only_that_au(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au4.txt", b"1,0\n2,5\n")
        labels = read(root)["SN001/left"].labels
        assert labels[2]["AU4"] == 5
        assert labels[3].keys() == {f"AU{au}" for au in AUS} - {"AU4"}
        (line,) = caplog.messages
        assert (
            "SN001_au4.txt: expected labels for all 12 frames labelled in other files, got 2; the other frames lack AU4"
            in line
        )

    def test_numbers_in_file_names_can_be_padded_and_in_upper_case(self, root: Path) -> None:
        plain = read(root)["SN001/left"].labels
        folder = root / "ActionUnit_Labels/SN001"
        (folder / "SN001_au4.txt").rename(folder / "sn001_AU04.TXT")
        assert read(root)["SN001/left"].labels == plain

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            (b"2,x", "expected a whole number from 0 to 5 as label, got 'x'"),
            (b"2,", "expected a whole number from 0 to 5 as label, got ''"),
            (b"2,9", "expected a whole number from 0 to 5 as label, got '9'"),
            (b"2,-1", "expected a whole number from 0 to 5 as label, got '-1'"),
            (b"2,2.5", "expected a whole number from 0 to 5 as label, got '2.5'"),
            (b"2,nan", "expected a whole number from 0 to 5 as label, got 'nan'"),
            (b"2 3", "expected a frame and a label separated by ',', got '2 3'"),
            (b"2,3,4", "expected a frame and a label separated by ',', got '2,3,4'"),
            (b"frame,3", "expected a frame and a label separated by ',', got 'frame,3'"),
        ],
    )
    def test_a_bad_line_is_refused_with_its_number(self, root: Path, line: bytes, problem: str) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au9.txt", b"1,0\n" + line + b"\n3,0\n")
        message = error_of(root)
        assert message == f"ROOT/ActionUnit_Labels/SN001/SN001_au9.txt:2: {problem}; restore the original file"

    def test_two_scores_of_one_frame_are_refused(self, root: Path) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au9.txt", b"1,0\n2,0\n2,1\n")
        assert error_of(root) == (
            "ROOT/ActionUnit_Labels/SN001/SN001_au9.txt:3: expected one label per frame, got different values for "
            "frame 2; keep one line"
        )

    def test_labels_counted_from_0_are_refused(self, root: Path) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au9.txt", b"0,0\n1,0\n")
        assert "SN001_au9.txt: expected frames counted from 1, got frame 0" in error_of(root)

    def test_a_subject_without_the_file_of_an_au_is_refused(self, root: Path) -> None:
        (root / "ActionUnit_Labels/SN010/SN010_au20.txt").unlink()
        assert "SN010: expected label files for AU 1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26, got none for AU 20" in (
            error_of(root)
        )

    def test_two_files_of_one_au_are_refused(self, root: Path) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au04.txt", b"1,0\n")
        assert "expected one such file" in error_of(root)


class TestVideos:
    @pytest.mark.parametrize(
        ("camera", "names"),
        [
            ("left", ["SN001/left", "SN010/left", "SN031/left"]),
            ("right", ["SN001/right", "SN010/right", "SN031/right"]),
            ("both", ["SN001/left", "SN001/right", "SN010/left", "SN010/right", "SN031/left", "SN031/right"]),
        ],
    )
    def test_the_camera_chooses_the_videos(self, root: Path, camera: str, names: list[str]) -> None:
        assert list(read(root, camera)) == names

    def test_both_cameras_of_a_subject_are_one_subject_with_the_same_labels(self, root: Path) -> None:
        found = read(root, "both")
        left, right = found["SN001/left"], found["SN001/right"]
        assert (left.subject, left.domain, left.frames) == ("SN001", "left", None)
        assert (right.subject, right.domain, right.frames) == ("SN001", "right", None)
        assert left.file == root / "Videos_LeftCamera/LeftVideoSN001_comp.avi"
        assert right.file == root / "Video_RightCamera/RightVideoSN001_comp.avi"
        assert left.labels == right.labels

    @pytest.mark.parametrize(
        "name",
        [
            "Videos_RightCamera/RightVideoSN001_Comp.avi",
            "video_rightcamera/RIGHTVIDEOSN001_COMP.AVI",
            "Video_RightCamera/Video_RightCamera/RightVideoSN001_comp.avi",
            "cameras/Video_RightCamera/RightVideoSN001_comp.avi",
        ],
    )
    def test_names_vary_between_copies(self, tmp_path: Path, name: str) -> None:
        write_labels(tmp_path / "ActionUnit_Labels", 1)
        video = write_file(tmp_path / name)
        assert read(tmp_path, "right")["SN001/right"].file == video

    def test_zip_archives_are_read_without_unpacking(self, root: Path) -> None:
        plain = read(root, "both")
        for folder in ("Videos_LeftCamera", "Video_RightCamera", "ActionUnit_Labels"):
            pack(root / folder)
        zipped = read(root, "both")
        assert zipped["SN010/right"].file == ZipMember(
            root / "Video_RightCamera.zip", "Video_RightCamera/RightVideoSN010_comp.avi"
        )
        assert {name: found.labels for name, found in zipped.items()} == {
            name: found.labels for name, found in plain.items()
        }

    def test_a_bad_line_in_an_archive_is_named(self, root: Path) -> None:
        write_file(root / "ActionUnit_Labels/SN001/SN001_au9.txt", b"1,0\n2,x\n")
        pack(root / "ActionUnit_Labels")
        assert "ROOT/ActionUnit_Labels.zip/ActionUnit_Labels/SN001/SN001_au9.txt:2: expected" in error_of(root)

    def test_a_folder_goes_before_the_archive_it_came_from(self, root: Path) -> None:
        pack(root / "Videos_LeftCamera", keep=True)
        (root / "Videos_LeftCamera/LeftVideoSN031_comp.avi").unlink()
        found = read(root)
        assert found["SN001/left"].file == root / "Videos_LeftCamera/LeftVideoSN001_comp.avi"
        assert isinstance(found["SN031/left"].file, ZipMember)

    @pytest.mark.parametrize(
        "member",
        ["../LeftVideoSN001_comp.avi", "a/../../x.avi", "/etc/LeftVideoSN001_comp.avi", "..\\x.avi", "C:\\x.avi"],
    )
    def test_an_archive_with_unsafe_names_is_refused(self, tmp_path: Path, member: str) -> None:
        write_labels(tmp_path / "ActionUnit_Labels", 1)
        with zipfile.ZipFile(tmp_path / "Videos_LeftCamera.zip", "w") as archive:
            archive.writestr("LeftVideoSN001_comp.avi", b"")
            archive.writestr(member, b"")
        assert error_of(tmp_path) == (
            f"ROOT/Videos_LeftCamera.zip: expected members inside the archive, got '{member}'; unsafe archives are not "
            "read: download the original"
        )

    def test_a_broken_archive_is_refused(self, tmp_path: Path) -> None:
        write_labels(tmp_path / "ActionUnit_Labels", 1)
        write_file(tmp_path / "Videos_LeftCamera.zip", b"PK\3\4 half")
        assert error_of(tmp_path).startswith("ROOT/Videos_LeftCamera.zip: expected a zip archive, got a broken file")

    def test_subjects_without_labels_or_video_are_left_out_with_a_warning(
        self, root: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_labels(root / "ActionUnit_Labels", 2)
        write_file(root / "Videos_LeftCamera/LeftVideoSN003_comp.avi")
        with caplog.at_level(logging.WARNING):
            assert list(read(root)) == ["SN001/left", "SN010/left", "SN031/left"]
        assert caplog.messages == [
            "DISFA: left out recordings without labels: 1, such as SN003",
            "DISFA: left out recordings without video or images: 1, such as SN002",
        ]


class TestSettings:
    def test_an_unknown_camera_is_refused(self, root: Path) -> None:
        assert error_of(root, camera="rigth") == (
            "dataset.camera: expected left, right, both, got 'rigth'; did you mean 'right'?"
        )

    def test_a_camera_without_videos_is_refused(self, root: Path) -> None:
        for video in (root / "Video_RightCamera").iterdir():
            video.unlink()
        for camera in ("right", "both"):
            assert error_of(root, camera=camera) == (
                "dataset.camera: expected videos of the right camera in 'ROOT', got only those of the left camera; "
                "set dataset.camera=left or add the others"
            )

    def test_an_unknown_preset_is_refused(self, root: Path) -> None:
        assert error_of(root, exclude="jaanett") == (
            "dataset.exclude: expected null or jaanet, got 'jaanett'; did you mean 'jaanet'?"
        )

    def test_a_root_that_is_no_folder_is_refused(self, root: Path) -> None:
        assert error_of(root / "x") == "root: expected the folder of DISFA, got 'ROOT'; check the path"
        with pytest.raises(ConfigError, match="got nothing; set root=FOLDER"):
            DISFA(root=None, camera="left", exclude=None)

    def test_a_root_of_something_else_is_refused_with_what_is_there(self, tmp_path: Path) -> None:
        write_file(tmp_path / "holiday.mp4")
        assert error_of(tmp_path) == (
            "root: expected DISFA as Videos_LeftCamera/LeftVideoSN001_comp.avi and ActionUnit_Labels/SN001/"
            "SN001_au1.txt in 'ROOT', got 'holiday.mp4'; check root"
        )


class TestBadFrames:
    def test_a_preset_names_the_bad_frames_and_keeps_their_labels(self, root: Path) -> None:
        found = read(root, exclude="jaanet")
        excluded = found["SN001/left"].excluded
        assert sorted(excluded) == [*range(398, 421), *range(3190, 3244)]
        assert set(excluded.values()) == {"bad frame (jaanet version 1)"}
        assert list(found["SN010/left"].excluded) == [4845]
        assert found["SN001/left"].labels == read(root)["SN001/left"].labels

    def test_no_preset_excludes_nothing(self, root: Path) -> None:
        assert read(root)["SN001/left"].excluded == {}

    def test_the_preset_keeps_the_published_count_of_frames(self) -> None:
        """126,144 frames in parts of 43,173, 40,344 and 42,627, of which SN021 has 1,793."""
        preset = PRESETS["jaanet"]
        kept = {
            fold: sum(4845 - len(preset.excluded(subject)) for subject in subjects)
            for fold, subjects in DISFA.folds["megraphau"].items()
        }
        assert kept == {"fold3": 43_173, "fold2": 40_344, "fold1": 42_627}
        assert 4845 - len(preset.excluded("SN021")) == 1793


def test_folds_test_each_of_the_27_subjects_once() -> None:
    subjects = [subject for fold in DISFA.folds["megraphau"].values() for subject in fold]
    numbers = {*range(1, 14), 16, 17, 18, 21, *range(23, 33)}
    assert sorted(subjects) == sorted(f"SN{number:03d}" for number in numbers)


def pack(folder: Path, *, keep: bool = False) -> None:
    """Zip a folder beside itself."""
    with zipfile.ZipFile(folder.with_name(f"{folder.name}.zip"), "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
            if path.is_file() and not keep:
                path.unlink()
    if not keep:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()
