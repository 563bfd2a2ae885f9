from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.published import error_of, read, write_file

TABLE = "EmotioNet_FACS_aws_2020_24600.csv"
HEADER = ",".join(["'URL'", "URL orig", *(f"'AU {au}'" for au in range(1, 61))])


def url(name: str) -> str:
    return f"http://host/Images/{name}.jpg"


def row(address: str, scored: Mapping[int, str]) -> str:
    """Row of 60 codes, 999 but for some AUs."""
    original = f'"http://elsewhere/a,b#{len(address)}.jpg"'
    return ",".join([f"'{address}'", original, *(scored.get(au, "999") for au in range(1, 61))])


def write_table(root: Path, *rows: str) -> None:
    write_file(root / TABLE, ("\n".join([HEADER, *rows]) + "\n").encode())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three rows: an image in a folder as in its URL, one in a flat folder, and one that could not be fetched."""
    folder = tmp_path / "EmotioNet"
    write_table(
        folder,
        row(url("N_1/N_1_00001"), {1: "0", 12: "1"}),
        row(url("N_1/N_1_00002"), {1: "1", 43: "0", 50: "1"}),
        row(url("N_2/N_2_00001"), {1: "1"}),
    )
    write_file(folder / "images/N_1/N_1_00001.jpg")
    write_file(folder / "more/N_1_00002.png")
    for foreign in (".DS_Store", "images/Thumbs.db", "images/N_1/._N_1_00001.jpg", "images/holiday.jpg"):
        write_file(folder / foreign, b"\0")
    return folder


def labels_of(root: Path) -> dict[str, Mapping[str, float]]:
    """Labels by the image's path below the root; images without any are left out."""
    return {
        path.relative_to(root).as_posix(): found.labels[number]
        for found in read("emotionet", root).values()
        for number, path in (found.frames or {}).items()
        if number in found.labels
    }


def test_codes_are_labels_and_999_is_not_annotated(root: Path) -> None:
    assert labels_of(root) == {
        "images/N_1/N_1_00001.jpg": {"AU1": 0, "AU12": 1},
        "more/N_1_00002.png": {"AU1": 1, "AU43": 0},
    }


def test_every_folder_is_a_recording_of_people_unknown_numbered_by_the_line_of_the_table(root: Path) -> None:
    found = read("emotionet", root)
    assert list(found) == ["images/N_1", "more"]
    folder = found["more"]
    assert (folder.subject, folder.domain, folder.excluded, folder.file) == ("", "", {}, root / "more")
    assert folder.frames == {3: root / "more/N_1_00002.png"}
    assert list(folder.labels) == [3]


def test_images_can_lie_beside_the_table(root: Path) -> None:
    (root / "more/N_1_00002.png").rename(root / "N_1_00002.png")
    assert read("emotionet", root)[""].frames == {3: root / "N_1_00002.png"}


def test_rows_whose_image_was_not_fetched_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read("emotionet", root)
    assert "EmotioNet: left out rows without an image: 1 of 3" in caplog.text


def test_images_of_one_name_are_told_apart_by_their_folder(root: Path) -> None:
    write_table(root, row(url("a/face"), {1: "0"}), row(url("b/face"), {1: "1"}), row(url("c/face"), {1: "1"}))
    write_file(root / "images/a/face.jpg")
    write_file(root / "images/b/face.jpg")
    assert labels_of(root) == {"images/a/face.jpg": {"AU1": 0}, "images/b/face.jpg": {"AU1": 1}}
    (root / "images/b/face.jpg").unlink()
    assert labels_of(root) == {"images/a/face.jpg": {"AU1": 0}}


def test_an_image_that_is_there_twice_is_refused(root: Path) -> None:
    write_file(root / "copy/N_1_00002.png")
    assert error_of("emotionet", root) == (
        f"ROOT/{TABLE}:3: expected one image of '{url('N_1/N_1_00002')}', got 2 with its name; keep one, or put them "
        "in folders named as in the URL ('N_1')"
    )


def test_plain_headers_quotes_spaces_and_crlf_are_read_alike(root: Path) -> None:
    plain = labels_of(root)
    text = (root / TABLE).read_text("utf-8").replace("'", "").replace(",999", ", 999").replace("\n", "\r\n")
    write_file(root / TABLE, b"\xef\xbb\xbf" + text.rstrip().encode())
    (root / TABLE).rename(root / "images/emotionet_facs.CSV")
    assert labels_of(root) == plain


def test_an_image_without_any_code_has_no_labels(root: Path) -> None:
    write_table(root, row(url("N_1/N_1_00001"), {}))
    found = read("emotionet", root)["images/N_1"]
    assert (found.frames, found.labels) == ({2: root / "images/N_1/N_1_00001.jpg"}, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("URL,AU 1\nu,0\nu,2\n", "3: expected a whole number from 0 to 1, or 999 as label, got '2'; restore"),
        ("URL,AU 1\nu,yes\n", "2: expected a whole number from 0 to 1, or 999 as label, got 'yes'; restore"),
        ("URL,AU 1\nu,0,1\n", "2: expected 2 cells as in the header, got 3; restore"),
        ("URL,AU 1,AU1\nu,0,1\n", "1: expected a header with URL and every AU once, got 'URL,AU 1,AU1'; restore"),
        ("URL,AU 60\nu,0\n", "1: expected a header with URL and every AU once, got 'URL,AU 60'; restore"),
        ("file,AU 1\nu,0\n", "1: expected a header with URL and every AU once, got 'file,AU 1'; restore"),
        ("", "1: expected a header with URL and every AU once, got ''; restore"),
    ],
)
def test_a_bad_table_is_refused_with_the_line(root: Path, text: str, problem: str) -> None:
    write_file(root / TABLE, text.encode())
    assert error_of("emotionet", root) == f"ROOT/{TABLE}:{problem} the original file"


def test_two_rows_of_an_image_must_agree(root: Path) -> None:
    first = row(url("N_1/N_1_00001"), {1: "0"})
    write_table(root, first, first)
    assert labels_of(root) == {"images/N_1/N_1_00001.jpg": {"AU1": 0}}
    write_table(root, first, row(url("N_1/N_1_00001"), {1: "1"}))
    assert error_of("emotionet", root) == (
        f"ROOT/{TABLE}:3: expected one row per image, got other labels for '{url('N_1/N_1_00001')}'; keep the right one"
    )


def test_two_tables_are_refused(root: Path) -> None:
    write_file(root / "old/EmotioNet_FACS_aws.csv", b"")
    assert error_of("emotionet", root) == (
        f"ROOT/old/EmotioNet_FACS_aws.csv: expected one table, got 'ROOT/{TABLE}' too; remove one"
    )


def test_a_root_without_the_table_or_the_images_is_refused(tmp_path: Path) -> None:
    layout = f"{TABLE} and the images of its URLs, such as N_0000000001_00001.jpg"
    assert error_of("emotionet", tmp_path) == (
        f"root: expected EmotioNet as {layout} in 'ROOT', got an empty folder; check root"
    )
    write_table(tmp_path, row(url("N_1/N_1_00001"), {1: "0"}))
    assert (
        error_of("emotionet", tmp_path) == f"root: expected EmotioNet as {layout} in 'ROOT', got '{TABLE}'; check root"
    )
