"""Where the images of a label file are, even if a name is spelled differently on disk."""

from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path

import pytest

from faceflow.data.rows import _UNTIDY, like_it
from tests.helpers.faces import read_folder, write_csv_dataset

NAME = "M\u00fcller"  # one character for the accented letter


@pytest.mark.parametrize(("disk", "table"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_accent_is_found_in_either_form_of_unicode(tmp_path: Path, disk: str, table: str) -> None:
    folder = write_csv_dataset(tmp_path / "faces", aus=("AU1", "AU6"), subjects=2, frames=2)
    written, on_disk = (unicodedata.normalize(form, NAME) for form in (table, disk))
    assert written != on_disk
    (folder / "images/s0").rename(folder / "images" / on_disk)
    labels = folder / "labels.csv"
    labels.write_text(labels.read_text("utf-8").replace("s0/", f"{written}/"), encoding="utf-8")
    found = read_folder(folder)
    assert found.files.tolist()[:2] == [f"{folder}/images/{on_disk}/{name}" for name in ("0.jpg", "1.png")]
    assert found.filenames.tolist()[0] == f"{written}/0.jpg"


@pytest.mark.parametrize(
    ("asked", "like"),
    [
        ("Face.jpg", ", but there is 'face.JPG'"),
        ("face", ", but there is 'face.JPG'"),
        ("face.png", ", but there is 'face.JPG'"),
        ("face.JPG", ""),
        ("other.jpg", ""),
        ("no_folder/face.JPG", ""),
    ],
)
def test_a_file_of_another_case_or_suffix_is_named(tmp_path: Path, asked: str, like: str) -> None:
    (tmp_path / "face.JPG").touch()
    (tmp_path / "face2.png").touch()
    assert like_it(tmp_path / asked) == like


def test_names_that_need_no_tidying_are_told_apart() -> None:
    rng = random.Random(0)
    names = {"".join(rng.choices("ab./", k=rng.randrange(8))) for _ in range(3000)}
    tidy = {name for name in names if not _UNTIDY.search(name)}
    assert all(os.path.normpath(name) == name for name in tidy)
    assert all(os.path.normpath(f"/r/{name}") == f"/r/{name}" for name in tidy)
    assert {"a/b", "a.b/b", ".a", "a..", "..a/b."} & names <= tidy
    assert len(tidy) > len(names) / 4
