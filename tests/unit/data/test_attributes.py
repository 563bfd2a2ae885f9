"""Requested additional label columns stay with their faces, as strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.data.assembly import read_tables
from faceflow.data.sources import FaceTable
from faceflow.errors import DataError
from tests.helpers.faces import smooth_image, source_settings, write_image
from tests.helpers.packs import make_pack

LABELS = """filename,subject,AU12,sex,Camera 1,age
a.png,s0,3,f, left ,30
b.png,s0,0,f,,30
c.png,s1,2,m,left,NA
d.png,s2,0,m,right,40
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in "abcd":
        write_image(tmp_path / "images" / f"{name}.png", smooth_image(rng, 16))
    (tmp_path / "labels.csv").write_text(LABELS, "utf-8")
    return tmp_path


def read(*attributes: str, **settings: Any) -> list[FaceTable]:
    path = next(settings[key] for key in ("labels", "train") if key in settings)
    images = path.parent / "images" if path.is_file() else None
    return read_tables({"faces": source_settings(images=images, **settings)}, levels=1, attributes=attributes)


def test_columns_are_texts_without_outer_spaces_beside_their_faces(folder: Path) -> None:
    (table,) = read("sex", "Camera 1", "age", labels=folder / "labels.csv")
    assert {name: texts.tolist() for name, texts in table.attributes.items()} == {
        "sex": ["f", "f", "m", "m"],
        "Camera 1": ["left", "", "left", "right"],
        "age": ["30", "30", "NA", "40"],
    }
    assert table.further == ("filename", "subject", "sex", "Camera 1", "age")
    kept = table.select(np.array([True, False, True, False]), "test")
    assert kept.attributes["Camera 1"].tolist() == ["left", "left"]


def test_only_requested_attributes_are_kept_and_fingerprints_stay_equal(folder: Path) -> None:
    (bare,), (table,) = read(labels=folder / "labels.csv"), read("sex", labels=folder / "labels.csv")
    assert not bare.attributes
    assert bare.fingerprint() == table.fingerprint()


def test_a_column_goes_by_its_name_in_the_file_or_by_its_standard_name(folder: Path) -> None:
    columns = {"filename": "filename", "subject": "subject", "domain": "Camera 1"}
    (table,) = read("Camera 1", "domain", labels=folder / "labels.csv", columns=columns)
    assert table.attributes["Camera 1"].tolist() == table.attributes["domain"].tolist() == ["left", "", "left", "right"]
    assert table.domains is not None
    assert table.domains.tolist() == ["left", "", "left", "right"]


def test_a_file_can_lack_a_column(folder: Path) -> None:
    (folder / "train.csv").write_text("filename,subject,AU12\na.png,s0,3\nb.png,s0,0\n", "utf-8")
    (folder / "test.csv").write_text("filename,subject,AU12,sex\nc.png,s1,3,f\nd.png,s2,0,\n", "utf-8")
    train, test = read("sex", train=folder / "train.csv", test=folder / "test.csv")
    assert not train.attributes
    assert test.attributes["sex"].tolist() == ["f", ""]


def test_a_packed_set_has_the_columns_of_its_table(folder: Path, tmp_path: Path) -> None:
    make_pack(folder, tmp_path / "pack")
    (table,) = read("sex", "Camera 1", labels=tmp_path / "pack")
    assert table.attributes["Camera 1"].tolist() == ["left", "", "left", "right"]
    assert table.further == ("filename", "subject", "sex", "Camera 1", "age")


def test_rows_of_one_picture_must_agree_on_them(folder: Path) -> None:
    labels = folder / "labels.csv"
    labels.write_text(LABELS + "a.png,s0,3,m,left,30\n", "utf-8")
    (table,) = read(labels=labels)
    assert (len(table), table.duplicates) == (4, 1), "nobody asked"
    with pytest.raises(DataError, match="got 'a.png' with other labels, sex, subject or domain than in line 2; keep"):
        read("sex", labels=labels)


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    (folder / "twice.csv").write_text("filename,AU12,sex,sex\na.png,3,f,m\n", "utf-8")
    with pytest.raises(DataError, match="expected one column 'sex', got 2; remove one"):
        read("sex", labels=folder / "twice.csv")
