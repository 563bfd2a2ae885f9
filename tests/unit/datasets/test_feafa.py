from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.published import error_of, read, write_file

COLUMNS = ["AU43_L", None, "AU12_R", *[None] * 20, "AU9"]
FRAMES = (994, 995, 1000)


def auw(frame: int) -> bytes:
    values = [0.125, 0.5, frame / 2000, *[0.0] * 20, 1.0]
    return " ".join(f"{value:.6f}" for value in values).encode() + b"\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """PV001 with images beside its labels, frame 995 without one; PV002 with images in a folder of their own."""
    folder = tmp_path / "FEAFA"
    for clip in ("PV001", "PV002"):
        for frame in FRAMES:
            write_file(folder / f"{clip}.output/{frame:08d}.auw", auw(frame))
    for frame in (993, 994, 1000):
        write_file(folder / f"PV001.output/{frame:08d}.jpg")
    for frame in FRAMES:
        write_file(folder / f"PV002/{frame}.png")
    for foreign in (".DS_Store", "PV001.output/.DS_Store", "PV002/Thumbs.db", "PV001.output/._00000994.jpg"):
        write_file(folder / foreign, b"\0")
    return folder


def test_values_are_labels_of_the_aus_that_the_columns_name(root: Path) -> None:
    found = read("feafa", root, columns=COLUMNS)
    assert list(found) == ["PV001", "PV002"]
    clip = found["PV001"]
    assert (clip.subject, clip.domain, clip.excluded, clip.file) == ("PV001", "", {}, root / "PV001.output")
    assert clip.labels == {frame: {"AU43_L": 0.125, "AU12_R": frame / 2000, "AU9": 1.0} for frame in FRAMES}


def test_images_are_found_by_number_beside_the_labels_or_in_the_folder_of_the_clip(root: Path) -> None:
    found = read("feafa", root, columns=COLUMNS)
    beside = root / "PV001.output"
    assert found["PV001"].frames == {994: beside / "00000994.jpg", 1000: beside / "00001000.jpg"}
    assert found["PV002"].frames == {frame: root / f"PV002/{frame}.png" for frame in FRAMES}


def test_clips_can_be_nested_once_with_crlf_tabs_and_no_last_newline(root: Path) -> None:
    plain = {name: clip.labels for name, clip in read("feafa", root, columns=COLUMNS).items()}
    path = root / "PV001.output/00000994.auw"
    write_file(path, b"\r\n " + auw(994).strip().replace(b" ", b"\t "))
    path.rename(path.with_name("994.auw"))
    (root / "A").mkdir()
    for name in ("PV001.output", "PV002.output", "PV002"):
        (root / name).rename(root / "A" / name)
    assert {name: clip.labels for name, clip in read("feafa", root, columns=COLUMNS).items()} == plain


def test_a_clip_without_images_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (root / "PV001.output").glob("*.jpg"):
        path.unlink()
    assert list(read("feafa", root, columns=COLUMNS)) == ["PV002"]
    assert "without video or images: 1, such as PV001" in caplog.text


@pytest.mark.parametrize(
    ("content", "line", "got"),
    [
        (b"0.5 0.5", 1, "0.5 0.5"),
        (b"", 1, ""),
        (b" ".join([b"0"] * 23 + [b"x"]), 1, "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
        (b"1.5 " + b" ".join([b"0"] * 23), 1, "1.5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "),
        (b"nan " + b" ".join([b"0"] * 23), 1, "nan 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "),
        (auw(994) + b"0.1 0.2\n", 2, "0.1 0.2"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(root: Path, content: bytes, line: int, got: str) -> None:
    write_file(root / "PV001.output/00000994.auw", content)
    message = error_of("feafa", root, columns=COLUMNS)
    start = f"ROOT/PV001.output/00000994.auw:{line}: expected one line of 24 numbers from 0 to 1, got '{got}"
    assert message.startswith(start)


def test_two_label_files_of_one_frame_are_refused(root: Path) -> None:
    write_file(root / "PV001.output/0994.auw", auw(994))
    assert error_of("feafa", root, columns=COLUMNS) == (
        "ROOT/PV001.output/0994.auw: expected one file for frame 994, got 'ROOT/PV001.output/00000994.auw' too; "
        "remove one"
    )


def test_columns_must_be_stated_for_all_values(root: Path) -> None:
    for columns, got in ((None, "nothing"), (["AU12", None], "2 names")):
        assert error_of("feafa", root, columns=columns).startswith(
            f"dataset.columns: expected the AU of each of the 24 values of an .auw file, got {got}; list them"
        )


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["smile"], "expected FACS names like AU12 or AU12_L, got 'smile'"),
        (["AU12", "AU12"], "expected every AU once, got AU12 twice"),
        ([], "expected at least one AU, got an empty list"),
    ],
)
def test_columns_must_name_each_au_once(root: Path, names: list[str], problem: str) -> None:
    columns = [*names, *[None] * (24 - len(names))]
    assert error_of("feafa", root, columns=columns).startswith(f"dataset.columns: {problem}")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "PV001.mp4")
    assert error_of("feafa", tmp_path, columns=COLUMNS) == (
        "root: expected FEAFA as PV001.output/00000994.auw with PV001.output/00000994.jpg or PV001/00000994.jpg in "
        "'ROOT', got 'PV001.mp4'; check root"
    )
