from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faceflow.data.sources import FaceTable
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from tests.helpers.faces import read_folder, read_tables_of, smooth_image, write_csv_dataset, write_image

NAN = float("nan")
Row = dict[str, object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images a.png to e.png, for label files that a test writes."""
    rng = np.random.default_rng(0)
    for name in "abcde":
        write_image(tmp_path / f"{name}.png", smooth_image(rng, 16))
    return tmp_path


def csv(folder: Path, rows: Sequence[Row], name: str = "labels.csv") -> Path:
    pd.DataFrame(rows).to_csv(folder / name, index=False)
    return folder / name


def face(name: str, score: object = 3, **more: object) -> Row:
    return {"AU12": score, "filename": name, **more}


def read(folder: Path, rows: Sequence[Row], **settings: Any) -> FaceTable:
    (table,) = read_tables_of("faces", labels=csv(folder, rows), **settings)
    return table


def error_of(folder: Path, rows: Sequence[Row], **settings: Any) -> str:
    path = csv(folder, rows)
    with pytest.raises((ConfigError, DataError)) as caught:
        read_tables_of("faces", labels=path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "labels.csv").replace(str(folder), "FOLDER")


class TestTable:
    def test_a_data_set_becomes_a_table(self, tmp_path: Path) -> None:
        table = read_folder(write_csv_dataset(tmp_path / "d", aus=["AU6", "AU12"], subjects=3, frames=2))
        assert (table.name, len(table), table.split) == ("d", 6, None)
        assert table.columns == ("AU6", "AU12")
        assert set(table.scales) == {LabelScale(score_max=5, occurrence_min=2)}
        assert table.filenames.tolist() == ["s0/0.jpg", "s0/1.png", "s1/0.jpg", "s1/1.png", "s2/0.jpg", "s2/1.png"]
        assert table.files.tolist() == [str(tmp_path / "d/images" / name) for name in table.filenames]
        assert table.subjects.tolist() == ["d/s0", "d/s0", "d/s1", "d/s1", "d/s2", "d/s2"]
        # frame 0 shows AU6 at 2 + (subject + frame) % 4, AU12 at (subject + frame) % 2; frame 1 the other way round
        assert table.scores.tolist() == [[2, 0], [1, 3], [3, 1], [0, 4], [4, 0], [1, 5]]
        assert (table.duplicates, table.skipped, table.domains) == (0, 0, None)

    def test_images_lie_beside_the_csv_unless_told_otherwise(self, folder: Path) -> None:
        assert read(folder, [face("a.png")]).files.tolist() == [str(folder / "a.png")]

    def test_images_can_lie_anywhere_where_names_are_absolute(self, folder: Path) -> None:
        table = read(folder, [face(str(folder / "a.png"))], images="/")
        assert table.files.tolist() == [str(folder / "a.png")]

    def test_dots_and_a_linked_images_folder_are_fine(self, folder: Path) -> None:
        assert read(folder, [face("x/../a.png")]).files.tolist() == [str(folder / "a.png")]
        (folder / "link").symlink_to(folder, target_is_directory=True)
        assert len(read(folder, [face("a.png")], images=folder / "link")) == 1

    def test_without_subjects_every_file_is_a_subject(self, folder: Path) -> None:
        table = read(folder, [face("a.png"), face("b.png")])
        assert not table.has_subjects
        assert table.subjects.tolist() == ["faces/a.png", "faces/b.png"]

    def test_an_empty_subject_column_is_no_subject_column(self, folder: Path) -> None:
        assert not read(folder, [face("a.png", subject=""), face("b.png", subject=" ")]).has_subjects

    def test_a_subject_that_lacks_in_some_rows_is_an_error(self, folder: Path) -> None:
        rows = [face("a.png", subject="s1"), face("b.png", subject=""), face("c.png", subject="s2")]
        assert error_of(folder, rows).startswith("labels.csv:3: expected a subject, got an empty cell; ")

    def test_data_sets_of_the_same_people_share_a_namespace(self, folder: Path) -> None:
        table = read(folder, [face("a.png", subject="SN001")], identities="disfa_people")
        assert table.subjects.tolist() == ["disfa_people/SN001"]

    def test_select_keeps_what_belongs_together(self, folder: Path) -> None:
        rows = [
            face(f"{name}.png", number, subject=name, domain=name.upper(), coder=f"coder {number}")
            for number, name in enumerate("abc")
        ]
        part = read(folder, rows, score_max=5).select(np.array([True, False, True]), "val")
        assert part.split == "val"
        assert part.subjects.tolist() == ["faces/a", "faces/c"]
        assert part.filenames.tolist() == ["a.png", "c.png"]
        assert part.scores.tolist() == [[0], [2]]
        assert part.domains is not None
        assert part.domains.tolist() == ["A", "C"]
        assert part.coders is not None
        assert part.coders.tolist() == ["coder 0", "coder 2"]


class TestNames:
    @pytest.mark.parametrize(
        ("file", "name"), [("faces.csv", "faces"), ("labels.csv", "d"), ("train.csv", "d"), ("Data.csv", "d")]
    )
    def test_a_csv_of_the_user_is_named_by_its_file_or_folder(self, tmp_path: Path, file: str, name: str) -> None:
        folder = write_csv_dataset(tmp_path / "d", aus=["AU12"], subjects=1, frames=2)
        (folder / "labels.csv").rename(folder / file)
        (table,) = read_tables_of("csv", labels=folder / file, images=folder / "images")
        assert table.name == name

    def test_a_data_set_of_the_config_is_named_by_its_key_or_as_told(self, folder: Path) -> None:
        assert [read(folder, [face("a.png")], name=name).name for name in (None, "mine")] == ["faces", "mine"]

    def test_the_files_of_the_splits_are_one_data_set_and_share_its_people(self, folder: Path) -> None:
        files: dict[str, Any] = {
            split: csv(folder, [face(f"{letter}.png", subject="s1")], name=f"{letter}.csv")
            for split, letter in zip(("train", "val", "test"), "abc", strict=True)
        }
        tables = read_tables_of("csv", images=folder, **files)
        assert {table.name for table in tables} == {folder.name}
        assert [table.split for table in tables] == ["train", "val", "test"]
        assert {str(subject) for table in tables for subject in table.subjects} == {f"{folder.name}/s1"}


class TestSettings:
    def test_a_data_set_needs_labels(self) -> None:
        with pytest.raises(ConfigError, match=r"data\.sources\.faces\.labels: expected the path of a CSV, got none"):
            read_tables_of("faces")

    def test_labels_and_splits_exclude_each_other(self, folder: Path) -> None:
        path = csv(folder, [face("a.png")])
        with pytest.raises(ConfigError, match=r"data\.sources\.faces: expected either labels or train/val/test"):
            read_tables_of("faces", labels=path, train=path)

    @pytest.mark.parametrize(
        ("setting", "value", "expected"),
        [
            ("bad_images", "ignore", "expected error or skip, got 'ignore'"),
            ("score_max", "five", "expected a number above 0, or null, got 'five'"),
            ("score_max", 0, "expected a number above 0, or null, got 0"),
            ("occurrence_min", -1, "expected a number above 0, or null, got -1"),
            ("missing_values", 9, "expected a list of numbers such as [9], got 9"),
            ("missing_values", ["9"], "expected a list of numbers such as [9], got ['9']"),
            ("domains", "studio", "expected a list of names, or null for all, got 'studio'"),
            ("domains", [], "expected a list of names, or null for all, got []"),
            ("domains", [1], "expected a list of names, or null for all, got [1]"),
        ],
    )
    def test_a_wrong_setting_is_named(self, folder: Path, setting: str, value: object, expected: str) -> None:
        message = error_of(folder, [face("a.png")], **{setting: value})
        assert message.startswith(f"data.sources.faces.{setting}: {expected}")


class TestDomains:
    ROWS = (face("a.png", domain="studio"), face("b.png", domain=" webcam "), face("c.png", domain="studio"))

    def test_only_the_domains_asked_for_are_kept(self, folder: Path) -> None:
        table = read(folder, self.ROWS, domains=["webcam"])
        assert table.filenames.tolist() == ["b.png"]

    def test_all_are_kept_by_default(self, folder: Path) -> None:
        table = read(folder, self.ROWS)
        assert table.domains is not None
        assert table.domains.tolist() == ["studio", "webcam", "studio"]

    def test_an_unknown_domain_is_named(self, folder: Path) -> None:
        message = error_of(folder, self.ROWS, domains=["studio", "webcams"])
        assert message.startswith("data.sources.faces.domains: ")
        assert "got 'webcams'" in message
        assert "labels.csv; did you mean 'webcam'?" in message

    def test_domains_need_their_column(self, folder: Path) -> None:
        message = error_of(folder, [face("a.png")], domains=["studio"])
        assert message.startswith("labels.csv: expected a column 'domain' for data.sources.faces.domains")

    def test_images_of_other_domains_need_not_exist(self, folder: Path) -> None:
        assert len(read(folder, [*self.ROWS, face("nope.png", domain="infrared")], domains=["studio"])) == 2


class TestDuplicates:
    def test_rows_that_say_the_same_are_dropped_and_counted(self, folder: Path) -> None:
        rows = [face("a.png", subject="s"), face("b.png", "", subject="s"), face("a.png", subject="s")]
        table = read(folder, [*rows, face("b.png", "", subject="s"), face("./a.png", subject="s")], score_max=5)
        assert table.filenames.tolist() == ["a.png", "b.png"]
        assert table.duplicates == 3

    @pytest.mark.parametrize(
        "second",
        [
            face("a.png", 4, subject="s", domain="x"),
            face("a.png", "", subject="s", domain="x"),
            face("a.png", subject="t", domain="x"),
            face("a.png", subject="s", domain="y"),
            face("./a.png", 4, subject="s", domain="x"),
        ],
        ids=["labels", "missing", "subject", "domain", "spelling"],
    )
    def test_rows_that_contradict_each_other_are_an_error(self, folder: Path, second: Row) -> None:
        rows = [face("b.png", subject="s", domain="x"), face("a.png", subject="s", domain="x"), second]
        message = error_of(folder, rows)
        assert message.startswith("labels.csv:4: expected one label row per image, got ")
        assert "than in line 3" in message

    def test_the_first_contradiction_of_many_is_named(self, folder: Path) -> None:
        rows = [face("a.png", 1), face("a.png", 1), face("a.png", 2), face("a.png", 3)]
        assert error_of(folder, rows).startswith("labels.csv:4: ")


class TestImages:
    def test_no_images_folder(self, folder: Path) -> None:
        message = error_of(folder, [face("a.png")], images=folder / "nope")
        assert message.startswith("data.sources.faces.images: expected a folder, got 'FOLDER/nope'")

    @pytest.mark.parametrize("name", ["../x.jpg", "/etc/passwd", "x/../../y.jpg", "", "."])
    def test_a_name_outside_the_images_folder_is_refused(self, folder: Path, name: str) -> None:
        message = error_of(folder, [face("a.png"), face(name)])
        assert message.startswith(f"labels.csv:3: expected a file inside 'FOLDER', got '{name}'; ")
        assert "data.sources.faces.images" in message

    def test_a_folder_whose_name_only_begins_alike_is_outside(self, folder: Path) -> None:
        (folder / "crops").mkdir()
        message = error_of(folder, [face("../crops2/a.png")], images=folder / "crops")
        assert "expected a file inside 'FOLDER/crops'" in message

    def test_missing_and_broken_images_name_the_first_row_and_how_many(self, folder: Path) -> None:
        (folder / "b.png").write_bytes(b"")
        (folder / "c.png").write_text("a text")
        whole = (folder / "d.png").read_bytes()
        (folder / "d.png").write_bytes(whole[: len(whole) // 2])
        rows = [face(name) for name in ("a.png", "b.png", "c.png", "d.png", "nope.png")]
        message = error_of(folder, rows)
        assert message.startswith("labels.csv:3: expected an image, got an empty file: 'FOLDER/b.png'")
        assert "(and 3 more broken files)" in message
        assert "data.sources.faces.bad_images=skip" in message
        for broken, reason in (("c.png", "not a JPEG"), ("d.png", "truncated"), ("nope.png", "no such file")):
            alone = error_of(folder, [face("a.png"), face(broken)])
            assert alone.startswith("labels.csv:3: expected an image, got ")
            assert reason in alone
            assert "more broken" not in alone

    def test_broken_images_are_skipped_and_counted_on_demand(self, folder: Path) -> None:
        (folder / "b.png").write_bytes(b"")
        rows = [face("nope.png", 1, subject="s1"), face("a.png", 2, subject="s2"), face("b.png", 3, subject="s3")]
        table = read(folder, [*rows, face("c.png", 4, subject="s4")], bad_images="skip")
        assert table.skipped == 2
        assert table.filenames.tolist() == ["a.png", "c.png"]
        assert table.scores.tolist() == [[2], [4]]
        assert table.subjects.tolist() == ["faces/s2", "faces/s4"]

    def test_skipping_everything_is_an_error(self, folder: Path) -> None:
        message = error_of(folder, [face("nope.png")], bad_images="skip")
        assert message.startswith("labels.csv: expected images in 'FOLDER', got none readable")

    def test_the_row_is_right_after_dropped_rows(self, folder: Path) -> None:
        rows = [face("a.png", domain="x"), face("a.png", domain="x"), face("b.png", domain="y")]
        message = error_of(folder, [*rows, face("nope.png", domain="x")], domains=["x"])
        assert message.startswith("labels.csv:5: ")


class TestTruth:
    def test_graded_labels_give_occurrence_and_facs_intensity(self, folder: Path) -> None:
        table = read(folder, [face("a.png", 0.6), face("b.png", 0.2), face("c.png", "")])
        truth = table.truth(["AU12", "AU6"])
        assert truth.occurrence.tolist() == [[True, False], [False, False], [False, False]]
        assert truth.observed.tolist() == [[True, False], [True, False], [False, False]]
        np.testing.assert_allclose(truth.intensity, [[3, NAN], [1, NAN], [NAN, NAN]])

    def test_zero_one_labels_have_no_intensity(self, folder: Path) -> None:
        truth = read(folder, [face("a.png", 1), face("b.png", 0)]).truth(["AU12"])
        assert truth.occurrence.tolist() == [[True], [False]]
        assert np.isnan(truth.intensity).all()

    def test_sides_that_are_labelled_jointly_are_named(self, folder: Path) -> None:
        table = read(folder, [face("a.png", AU6_L=1, AU6_R=2)])
        assert table.unsided(["AU12_L", "AU12_R", "AU6_L", "AU6_R", "AU1_L"]) == {"AU12"}


class TestFingerprint:
    def test_equal_data_elsewhere_has_the_same(self, tmp_path: Path) -> None:
        tables = [
            read_folder(write_csv_dataset(tmp_path / place / "d", aus=["AU12"], subjects=2, frames=2))
            for place in ("here", "there")
        ]
        assert tables[0].fingerprint() == tables[1].fingerprint()

    def test_renamed_data_have_the_same(self, folder: Path) -> None:
        table = read(folder, [face("a.png", 1, subject="01"), face("b.png", 0, subject="2")])
        renamed = dataclasses.replace(
            table,
            name="other",
            filenames=np.array(["x.png", "y.png"]),
            subjects=np.array(["other/1", "other/2"]),
            identities=np.array(["other/1", "other/2"]),
        )
        assert renamed.fingerprint() == table.fingerprint()

    def test_other_labels_subjects_or_files_have_another(self, folder: Path) -> None:
        table = read(folder, [face("a.png", 1, subject="s"), face("b.png", "", subject="s")], score_max=5)
        others = [
            dataclasses.replace(table, scores=np.array([[2.0], [NAN]])),
            dataclasses.replace(table, scores=np.array([[1.0], [0.0]])),
            dataclasses.replace(table, identities=np.array(["faces/s", "faces/t"])),
            dataclasses.replace(table, pictures=np.array([1, 2])),
            dataclasses.replace(table, columns=("AU6",)),
        ]
        assert len({part.fingerprint() for part in (table, *others)}) == 6


class TestFilesFromWindows:
    def test_backslashes_become_slashes_and_are_reported(self, folder: Path) -> None:
        (folder / "anna").mkdir()
        write_image(folder / "anna/f.png", smooth_image(np.random.default_rng(1), 16))
        table = read(folder, [face(r"anna\f.png"), face("a.png")])
        assert table.filenames.tolist() == ["anna/f.png", "a.png"]
        assert table.notes == ("backslashes in filename read as slashes",)

    def test_a_name_that_has_a_backslash_keeps_it(self, folder: Path) -> None:
        write_image(folder / r"x\f.png", smooth_image(np.random.default_rng(1), 16))
        table = read(folder, [face(r"x\f.png"), face("a.png")])
        assert (table.filenames.tolist(), table.notes) == ([r"x\f.png", "a.png"], ())

    @pytest.mark.parametrize("name", [r"C:\study\a.png", "D:/study/a.png"])
    def test_a_path_with_a_drive_is_one_line(self, folder: Path, name: str) -> None:
        read_name = name.replace("\\", "/")
        assert error_of(folder, [face("a.png"), face(name)]) == (
            f"labels.csv:3: expected a file inside 'FOLDER', got '{read_name}'; write filename relative to "
            "data.sources.faces.images"
        )


def test_the_file_names_of_faceflow_crop_are_found_without_naming_a_folder(folder: Path) -> None:
    (folder / "crops").mkdir()
    write_image(folder / "crops/f.png", smooth_image(np.random.default_rng(1), 16))
    (folder / "crops.json").write_text("{}", encoding="utf-8")
    assert read(folder, [face("f.png")]).files.tolist() == [str(folder / "crops/f.png")]


def test_columns_are_what_the_config_calls_them(folder: Path) -> None:
    rows = [face("a.png", who="s1"), face("b.png", who="s2")]
    columns = {"filename": "filename", "subject": "who", "domain": "domain"}
    table = read(folder, rows, columns=columns)
    assert table.has_subjects
    assert table.subjects.tolist() == ["faces/s1", "faces/s2"]
