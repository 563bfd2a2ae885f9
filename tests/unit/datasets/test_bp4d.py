from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from faceflow.datasets.bp4d import BP4D, BP4DPlus
from faceflow.datasets.published import Dataset, Recording
from faceflow.errors import ConfigError, DataError

CODED = {6: 1, 12: 0, 17: 1, 24: 9}  # AU -> code of the frames that a test does not care about
FIRST = 2440


def write_file(path: Path, content: bytes = b"never opened") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def wide_row(frame: int, codes: Mapping[int, int]) -> str:
    """Row of a file whose header is 0..99, so that column N is AU N; the last column says that the face is occluded."""
    return ",".join(map(str, [frame, *(codes.get(number, 9) for number in range(1, 99)), 1]))


def write_wide(path: Path, rows: Mapping[int, Mapping[int, int]], *, newline: str = "\n") -> None:
    lines = [",".join(map(str, range(100))), *(wide_row(frame, codes) for frame, codes in rows.items())]
    write_file(path, newline.join(lines).encode() + newline.encode())


def write_images(folder: Path, *names: str) -> None:
    for name in names:
        write_file(folder / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """F001/T1 with four-digit and M009/T8 with three-digit image names, among foreign and three-dimensional files."""
    folder = tmp_path / "BP4D"
    write_wide(folder / "AUCoding/AU_OCC/F001_T1.csv", {frame: CODED for frame in (FIRST, FIRST + 1)})
    write_wide(folder / "AUCoding/AU_OCC/M009_T8.csv", {frame: CODED for frame in (9, 10, 11)})
    images = folder / "Sequences_2D+3D"
    write_images(images / "F001/T1", "2439.jpg", "2440.jpg", "2441.jpg", "2440.wrl", "2440.mtl", ".DS_Store")
    write_images(images / "M009/T8", "008.jpg", "009.jpg", "010.jpg", "011.jpg", "Thumbs.db", "._009.jpg")
    write_file(folder / "AUCoding/AU_OCC/.DS_Store", b"\0")
    write_file(folder / "AUCoding/readme.txt", b"codes")
    return folder


def read(
    root: Path, *, kind: type[BP4D] = BP4D, labels: str = "occurrence", frames: str = "labeled"
) -> dict[str, Recording]:
    return {found.name: found for found in kind(root=str(root), labels=labels, frames=frames).recordings()}


def error_of(root: Path, **settings: Any) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        read(root, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


class TestOccurrence:
    def test_column_n_of_a_wide_file_is_au_n_and_9_is_not_annotated(self, root: Path) -> None:
        task = read(root)["F001/T1"]
        expected = {"AU6": 1, "AU12": 0, "AU17": 1}
        assert task.labels == {2440: expected, 2441: expected}
        assert (task.name, task.subject, task.domain, task.excluded) == ("F001/T1", "F001", "", {})

    def test_a_task_of_which_nothing_was_annotated_has_no_frames(self, root: Path) -> None:
        write_wide(root / "AUCoding/AU_OCC/M009_T8.csv", {9: {}, 10: {}})
        task = read(root)["M009/T8"]
        assert (task.labels, task.frames) == ({}, {})

    @pytest.mark.parametrize(
        "header", ["1,1,2,4,12", "0,1,2,4,12", "frame,AU01,AU02,AU04,AU12", '"0","1","2","4","12"']
    )
    def test_columns_are_read_by_their_header_and_the_first_is_the_frame(self, root: Path, header: str) -> None:
        write_file(root / "AUCoding/AU_OCC/F001_T1.csv", f"{header}\n2440,1,0,9,1\n".encode())
        assert read(root)["F001/T1"].labels == {2440: {"AU1": 1, "AU2": 0, "AU12": 1}}

    def test_columns_can_be_in_any_order(self, root: Path) -> None:
        write_file(root / "AUCoding/AU_OCC/F001_T1.csv", b"0,12,6,99,4\n2440,1,0,1,0\n")
        assert read(root)["F001/T1"].labels == {2440: {"AU12": 1, "AU6": 0, "AU4": 0}}

    def test_rows_can_be_unordered_with_crlf_spaces_and_no_last_newline(self, root: Path) -> None:
        text = b"\xef\xbb\xbf 0 , 6 ,12\r\n 10,0, 1\r\n9, 1 ,0\r\n\r\n11,1,1\r\n9,1,0"
        write_file(root / "AUCoding/AU_OCC/M009_T8.csv", text)
        labels = read(root)["M009/T8"].labels
        assert labels == {9: {"AU6": 1, "AU12": 0}, 10: {"AU6": 0, "AU12": 1}, 11: {"AU6": 1, "AU12": 1}}
        assert list(labels) == [9, 10, 11]

    def test_a_frame_without_any_code_has_no_labels(self, root: Path) -> None:
        write_wide(root / "AUCoding/AU_OCC/F001_T1.csv", {2440: {}, 2441: CODED})
        assert list(read(root)["F001/T1"].labels) == [2441]

    def test_the_codes_can_lie_in_the_coding_folder_itself(self, root: Path) -> None:
        plain = read(root)
        for path in (root / "AUCoding/AU_OCC").glob("*.csv"):
            path.rename(root / "AUCoding" / path.name)
        (root / "AUCoding/AU_OCC/.DS_Store").unlink()
        (root / "AUCoding/AU_OCC").rmdir()
        assert read(root) == plain

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (b"0,6\n2440,1\n2441,x\n", "3: expected a whole number from 0 to 1, or 9 as label, got 'x'; restore"),
            (b"0,6\n2440,2\n", "2: expected a whole number from 0 to 1, or 9 as label, got '2'; restore"),
            (b"0,6\n2440\n", "2: expected a frame number and 1 codes as in the header, got '2440' (1 cells); restore"),
            (b"0,6\nx,1\n", "2: expected a frame number and 1 codes as in the header, got 'x,1' (2 cells); restore"),
            (b"0,6\n2440,1\n2440,0\n", "3: expected one label per frame, got different values for frame 2440; keep"),
            (b"0,6,06\n", "1: expected a header with every AU once, got AU6 twice; fix"),
            (b"2440,1,0,1\n", "1: expected a header with every AU once, got AU1 twice; fix"),
            (b"0,99\n2440,0\n", "1: expected a header of AU numbers, got '0,99'; restore"),
            (b"", "1: expected a header of AU numbers, got ''; restore"),
        ],
    )
    def test_a_bad_file_is_refused_with_the_line(self, root: Path, text: bytes, problem: str) -> None:
        write_file(root / "AUCoding/AU_OCC/F001_T1.csv", text)
        assert error_of(root).startswith(f"ROOT/AUCoding/AU_OCC/F001_T1.csv:{problem}")


class TestIntensity:
    @pytest.fixture
    def graded(self, root: Path) -> Path:
        folder = root / "AU Intensity Codes3.0"
        write_file(folder / "AU06/F001_T1.csv", b"2441,5\r\n2440,0")
        write_file(folder / "AU10/F001_T1_AU10.csv", b"2440,3\n2441,9\n")
        write_file(folder / "AU06/.DS_Store", b"\0")
        return root

    def test_intensities_are_read_and_9_is_not_annotated(self, graded: Path) -> None:
        found = read(graded, labels="intensity")
        assert list(found) == ["F001/T1"]
        assert found["F001/T1"].labels == {2440: {"AU6": 0, "AU10": 3}, 2441: {"AU6": 5}}

    def test_two_files_of_one_au_are_refused(self, graded: Path) -> None:
        write_file(graded / "AU Intensity Codes3.0/AU06/F001_T1_AU06.csv", b"2440,1\n")
        assert "expected one file for AU6 and the task" in error_of(graded, labels="intensity")


class TestImages:
    def test_images_are_found_by_number_whatever_the_padding(self, root: Path) -> None:
        folder = root / "Sequences_2D+3D/M009/T8"
        assert read(root)["M009/T8"].frames == {9: folder / "009.jpg", 10: folder / "010.jpg", 11: folder / "011.jpg"}

    def test_images_that_were_not_coded_are_read_on_demand(self, root: Path) -> None:
        frames = read(root, frames="all")["F001/T1"].frames
        assert frames is not None
        assert list(frames) == [2439, 2440, 2441]

    def test_frames_are_ordered_as_numbers(self, root: Path) -> None:
        folder = root / "Sequences_2D+3D/M009/T8"
        for path in folder.glob("0*.jpg"):
            path.rename(folder / f"{int(path.stem)}.jpg")
        frames = read(root, frames="all")["M009/T8"].frames
        assert frames is not None
        assert list(frames) == [8, 9, 10, 11]

    def test_a_coded_frame_without_image_is_only_labelled(self, root: Path) -> None:
        (root / "Sequences_2D+3D/F001/T1/2440.jpg").unlink()
        task = read(root)["F001/T1"]
        assert task.frames is not None
        assert (list(task.frames), list(task.labels)) == ([2441], [2440, 2441])

    def test_images_numbered_otherwise_than_the_codes_are_refused(self, root: Path) -> None:
        folder = root / "Sequences_2D+3D/F001/T1"
        for path in folder.glob("*.jpg"):
            path.rename(folder / f"{int(path.stem) - 2439:04d}.jpg")
        assert "expected images of the labelled frames 2440 to 2441, got 0 to 2" in error_of(root)

    @pytest.mark.parametrize("name", ["img", "2D+3D", "Sequences(2D+3D)", "data/img"])
    def test_folders_of_images_have_several_names(self, root: Path, name: str) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        (root / "Sequences_2D+3D").rename(root / name)
        assert list(read(root)) == ["F001/T1", "M009/T8"]

    def test_two_folders_of_one_task_are_refused(self, root: Path) -> None:
        write_images(root / "img/F001/T1", "2440.jpg")
        assert "expected one folder for F001/T1, got " in error_of(root)

    def test_tasks_without_codes_are_left_out_with_a_warning(
        self, root: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_images(root / "Sequences_2D+3D/F001/T2", "001.jpg")
        assert list(read(root, kind=BP4DPlus)) == ["F001/T1", "M009/T8"]
        assert caplog.messages == ["BP4D+: left out recordings without labels: 1, such as F001/T2"]

    def test_a_folder_without_codes_is_refused_with_what_is_there(self, root: Path) -> None:
        assert error_of(root, labels="intensity") == (
            "root: expected BP4D as Sequences_2D+3D/F001/T1/2440.jpg and AU Intensity Codes3.0/AU06/F001_T1.csv in "
            "'ROOT', got 'AUCoding', 'Sequences_2D+3D'; check root"
        )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"labels": "intensities"},
            "dataset.labels: expected occurrence or intensity, got 'intensities'; did you mean",
        ),
        ({"frames": "coded"}, "dataset.frames: expected labeled or all, got 'coded'"),
    ],
)
def test_an_unknown_setting_is_refused(root: Path, setting: dict[str, str], message: str) -> None:
    assert error_of(root, **setting).startswith(message)


def test_folds_test_every_subject_once(root: Path) -> None:
    bp4d: Dataset = BP4D(root=str(root), labels="occurrence", frames="labeled")
    plus: Dataset = BP4DPlus(root=str(root), labels="occurrence", frames="labeled")
    assert sorted(s for part in bp4d.folds["jaanet"].values() for s in part) == people(women=23, men=18)
    assert sorted(s for fold in plus.folds["fmae"].values() for s in fold) == people(women=82, men=58)
    assert [len(fold) for fold in plus.folds["fmae"].values()] == [35, 35, 35, 35]


def people(*, women: int, men: int) -> list[str]:
    return [f"F{n:03d}" for n in range(1, women + 1)] + [f"M{n:03d}" for n in range(1, men + 1)]
