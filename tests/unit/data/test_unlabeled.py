from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.data.streams import without_held_out
from faceflow.data.unlabeled import read_unlabeled
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from tests.helpers.faces import read_folder, smooth_image, unlabeled_settings, write_csv_dataset, write_image

Paint = Callable[..., Path]


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Writes images into a folder below tmp_path, and returns the folder."""
    rng = np.random.default_rng(0)

    def write(folder: str, *names: str) -> Path:
        root = tmp_path / folder
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(root / name, smooth_image(rng, 16))
        return root

    return write


@pytest.fixture
def web(paint: Paint) -> Path:
    return paint("web", "top.png", "anna/0.jpg", "anna/neutral.jpg", "bert/deep/1.png", "bert/neutral.jpg")


def read(path: Any, key: str = "web", **settings: Any) -> list[FaceTable]:
    return read_unlabeled({key: unlabeled_settings(path, **settings)}, prefer="intensity")


def names(path: Any, **settings: Any) -> list[str]:
    return [name for table in read(path, **settings) for name in table.filenames.tolist()]


def csv(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def error_of(path: Any, **settings: Any) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        read(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestFolder:
    def test_a_folder_is_searched_to_the_bottom_in_order(self, web: Path) -> None:
        (table,) = read(web)
        assert table.filenames.tolist() == [
            *["anna/0.jpg", "anna/neutral.jpg", "bert/deep/1.png", "bert/neutral.jpg", "top.png"]
        ]
        assert table.files.tolist() == [str(web / name) for name in table.filenames]
        assert table.subjects.tolist() == [f"web/{name}" for name in table.filenames]
        assert (table.name, table.split, table.has_subjects, table.domains) == ("web", "unlabeled", False, None)
        assert (table.columns, table.scores.shape) == ((), (5, 0))
        assert (table.duplicates, table.skipped) == (0, 0)
        truth = table.truth(["AU1", "AU12"])
        assert truth.observed.shape == (5, 2)
        assert not truth.observed.any()

    def test_only_suffixes_of_images_count_in_any_case(self, paint: Paint, caplog: pytest.LogCaptureFixture) -> None:
        images = ["a.JPG", "b.jpeg", "c.Png", "d.bmp", "e.webp", "f.tif", "g.TIFF"]
        folder = paint("faces", *images)
        for other in ("notes.txt", "labels.csv", "clip.mp4", "jpg", "x.jpg.part"):
            (folder / other).write_text("?")
        with caplog.at_level(logging.INFO):
            assert names(folder) == images
        assert f"unlabeled.web.path: left out 5 files in '{folder}' without the suffix of an image" in caplog.text

    def test_hidden_files_and_folders_are_passed_over(self, paint: Paint, caplog: pytest.LogCaptureFixture) -> None:
        folder = paint("faces", "a.png", ".thumbs/a.png", "._a.png", "b/.c.png")
        with caplog.at_level(logging.INFO):
            assert names(folder) == ["a.png"]
        assert not caplog.records

    def test_linked_folders_are_searched_but_not_in_circles(self, paint: Paint, web: Path) -> None:
        folder = paint("faces", "a.png")
        (folder / "linked").symlink_to(web / "bert", target_is_directory=True)
        (folder / "circle").symlink_to(folder, target_is_directory=True)
        (folder / "above").symlink_to(folder.parent, target_is_directory=True)
        assert names(folder) == ["a.png", "linked/deep/1.png", "linked/neutral.jpg"]

    def test_a_relative_path_and_a_trailing_slash_mean_the_same(
        self, web: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(web.parent)
        (table,) = read("./web/", exclude=["anna/*"])
        assert table.files.tolist() == [str(web / name) for name in ("bert/deep/1.png", "bert/neutral.jpg", "top.png")]

    def test_a_set_without_a_path_is_left_out(self, web: Path) -> None:
        sets = {"none": unlabeled_settings(None, exclude=["x"]), "web": unlabeled_settings(web)}
        assert [table.name for table in read_unlabeled(sets, prefer="intensity")] == ["web"]
        assert read_unlabeled({}, prefer="intensity") == []

    @pytest.mark.parametrize("files", [[], ["a.txt", "b.psd", ".c.png"]])
    def test_a_folder_without_images_is_named(self, tmp_path: Path, files: list[str]) -> None:
        for name in files:
            (tmp_path / name).write_text("?")
        message = error_of(tmp_path)
        assert message.startswith("data.unlabeled.web.path: expected images (.jpg, ")
        assert message.endswith(f"in '{tmp_path}', got none of {2 if files else 0} files")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        message = error_of(tmp_path / "nope")
        assert message.startswith("data.unlabeled.web.path: expected ")
        assert f"got '{tmp_path / 'nope'}' (no such file or directory)" in message


class TestNames:
    def test_a_set_is_named_by_its_key_or_as_told(self, web: Path) -> None:
        assert [table.name for name in (None, "mine") for table in read(web, name=name)] == ["web", "mine"]
        assert read(web, name="mine")[0].subjects[0] == "mine/anna/0.jpg"
        # Whoever the people are, equal file names of two sets mean nothing.
        assert read(web, name="mine", identities="people")[0].subjects[0] == "mine/anna/0.jpg"

    def test_each_path_of_a_list_is_a_table(self, paint: Paint, web: Path) -> None:
        other = paint("faces", "a.png")
        listed = csv(paint("x", "b.png") / "tube.csv", [{"filename": "b.png"}])
        tables = read([web, other, listed])
        assert [(table.name, len(table)) for table in tables] == [("web:web", 5), ("web:faces", 1), ("web:tube", 1)]
        assert tables[1].subjects.tolist() == ["web/a.png"]

    def test_folders_of_one_name_are_told_apart(self, paint: Paint) -> None:
        first, second = paint("a/crops", "1.png"), paint("b/crops", "1.png")
        assert [table.name for table in read([first, second])] == [f"web:{first}", f"web:{second}"]

    def test_names_must_differ(self, web: Path, paint: Paint) -> None:
        sets = {"a": unlabeled_settings(web, name="x"), "b": unlabeled_settings(paint("y", "1.png"), name="x")}
        with pytest.raises(ConfigError, match=r"^data\.unlabeled: expected different names, got 'x' twice; "):
            read_unlabeled(sets, prefer="intensity")


class TestCsv:
    def test_a_csv_without_au_columns_has_no_labels(self, paint: Paint) -> None:
        folder = paint("faces", "a.png", "b.png", "unlisted.png")
        rows: list[dict[str, object]] = [
            {"filename": "a.png", "subject": "s1", "domain": "webcam"},
            {"filename": "b.png", "subject": "s2", "domain": "studio"},
            {"filename": "a.png", "subject": "s1", "domain": "webcam"},
        ]
        (table,) = read(csv(folder / "list.csv", rows), identities="people")
        assert (table.columns, table.scores.shape, table.split) == ((), (2, 0), "unlabeled")
        assert table.filenames.tolist() == ["a.png", "b.png"]
        assert table.subjects.tolist() == ["people/s1", "people/s2"]
        assert table.has_subjects
        assert table.domains is not None
        assert table.domains.tolist() == ["webcam", "studio"]
        assert table.duplicates == 1
        assert names(folder / "list.csv", domains=["studio"]) == ["b.png"]

    def test_images_can_lie_elsewhere(self, web: Path, tmp_path: Path) -> None:
        (table,) = read(csv(tmp_path / "list.csv", [{"filename": "anna/0.jpg"}]), images=web)
        assert table.files.tolist() == [str(web / "anna/0.jpg")]
        assert table.subjects.tolist() == ["web/anna/0.jpg"]

    def test_au_columns_are_hidden_labels(self, tmp_path: Path) -> None:
        folder = write_csv_dataset(tmp_path / "d", aus=["AU6", "AU12"], subjects=2, frames=2)
        labelled = read_folder(folder)
        (table,) = read(folder / "labels.csv", images=folder / "images", name="d", score_max=5, occurrence_min=3)
        assert table.columns == ("AU6", "AU12")
        assert table.scores.tolist() == labelled.scores.tolist()
        assert table.subjects.tolist() == labelled.subjects.tolist()
        assert table.scales == (LabelScale(score_max=5, occurrence_min=3),) * 2
        assert table.split == "unlabeled"

    def test_folders_and_labelled_files_can_be_one_set(self, tmp_path: Path, web: Path) -> None:
        folder = write_csv_dataset(tmp_path / "d", aus=["AU12"], subjects=1, frames=2)
        (folder / "labels.csv").rename(folder / "images/labels.csv")
        graded, plain = read([folder / "images/labels.csv", web])
        assert (graded.columns, graded.scales) == (("AU12",), (LabelScale(score_max=5, occurrence_min=2),))
        assert (plain.columns, plain.scales) == ((), ())

    def test_missing_values_of_hidden_labels(self, paint: Paint) -> None:
        folder = paint("faces", "a.png", "b.png")
        rows: list[dict[str, object]] = [{"filename": "a.png", "AU12": 9}, {"filename": "b.png", "AU12": 3}]
        (table,) = read(csv(folder / "l.csv", rows), missing_values=[9])
        assert np.isnan(table.scores[0, 0])
        message = error_of(folder / "l.csv")
        assert message.startswith(f"{folder / 'l.csv'}:2: expected AU12 in 0..5, got 9; ")
        assert "data.unlabeled.web.missing_values=[9]" in message
        assert "data.sources" not in message

    def test_a_csv_needs_file_names_and_rows(self, tmp_path: Path) -> None:
        message = error_of(csv(tmp_path / "l.csv", [{"filenames": "a.png"}]))
        assert message == (
            f"{tmp_path / 'l.csv'}: expected a column 'filename', got filenames; did you mean 'filenames'? Rename it, "
            "or set data.unlabeled.web.columns.filename=filenames"
        )
        (tmp_path / "l.csv").write_text("filename\n")
        assert "expected rows, got only a header" in error_of(tmp_path / "l.csv")


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "value", "expected"),
        [
            ("bad_images", "ignore", "expected error or skip, got 'ignore'"),
            ("score_max", 0, "expected a number above 0, or null, got 0"),
            ("exclude", "anna/*", "expected a list of texts, got 'anna/*'"),
            ("exclude", [3], "expected a list of texts, got [3]"),
            ("exclude", [""], "expected a list of texts, got ['']"),
            ("path", 5, "expected a list of texts, got 5"),
        ],
    )
    def test_a_wrong_setting_is_named(self, web: Path, setting: str, value: object, expected: str) -> None:
        settings = unlabeled_settings(web) | {setting: value}
        with pytest.raises(ConfigError) as caught:
            read_unlabeled({"web": settings}, prefer="intensity")
        assert str(caught.value) == f"data.unlabeled.web.{setting}: {expected}"

    def test_domains_need_a_csv_with_their_column(self, web: Path) -> None:
        assert "expected a column 'domain' for data.unlabeled.web.domains" in error_of(web, domains=["studio"])


class TestExclusion:
    REST = ("bert/deep/1.png", "bert/neutral.jpg", "top.png")

    @pytest.mark.parametrize(
        ("entry", "left"),
        [
            ("anna/*", [*REST]),
            ("./anna/../anna/*", [*REST]),
            ("bert/*", ["anna/0.jpg", "anna/neutral.jpg", "top.png"]),
            ("*/neutral.jpg", ["anna/0.jpg", "bert/deep/1.png", "top.png"]),
            ("top.png", ["anna/0.jpg", "anna/neutral.jpg", "bert/deep/1.png", "bert/neutral.jpg"]),
            ("*/[0-9].*", ["anna/neutral.jpg", "bert/neutral.jpg", "top.png"]),
        ],
    )
    def test_by_pattern_below_the_folder(self, web: Path, entry: str, left: list[str]) -> None:
        assert names(web, exclude=[entry]) == left

    def test_by_absolute_pattern(self, web: Path) -> None:
        assert names(web, exclude=[f"{web}/anna/*"]) == [*self.REST]
        link = web.parent / "link"
        link.symlink_to(web, target_is_directory=True)
        assert names(link, exclude=[f"{web}/anna/*"]) == [*self.REST]
        assert names(link, exclude=[f"{link}/anna/*"]) == [*self.REST]

    @pytest.mark.parametrize("suffix", ["txt", "csv"])
    def test_by_a_list_of_relative_and_absolute_paths(self, web: Path, suffix: str) -> None:
        listed = ["anna/0.jpg", str(web / "top.png"), "./bert/x/../deep/1.png", "anna\\neutral.jpg"]
        (web / "bert/x").mkdir()
        path = web.parent / f"held_out.{suffix}"
        if suffix == "csv":
            csv(path, [{"id": number, "filename": name} for number, name in enumerate(listed)])
        else:
            path.write_text("\n".join([*listed, "", "  "]), "utf-8-sig")
        assert names(web, exclude=[str(path)]) == ["bert/neutral.jpg"]

    def test_by_a_list_that_names_another_way_to_the_file(self, web: Path, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(web, target_is_directory=True)
        (tmp_path / "one.jpg").symlink_to(web / "anna/0.jpg")
        path = tmp_path / "list.txt"
        path.write_text(f"{tmp_path}/alias/top.png\n{tmp_path}/one.jpg\n")
        assert names(web, exclude=[str(path)]) == ["anna/neutral.jpg", "bert/deep/1.png", "bert/neutral.jpg"]

    def test_a_nul_character_in_a_list_is_a_file_that_is_not_there(
        self, web: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "out.txt"
        path.write_text("top.png\nanna/\0.jpg\n", encoding="utf-8")
        assert "top.png" not in names(web, exclude=[str(path)])
        assert "lists 1 files that do not exist" in caplog.text

    def test_an_excluded_image_does_not_stay_under_another_path(self, web: Path) -> None:
        (web / "a_copy").symlink_to(web / "anna", target_is_directory=True)
        assert names(web, exclude=["anna/*"]) == [*self.REST]

    def test_rows_of_a_csv_are_excluded_alike(self, web: Path, tmp_path: Path) -> None:
        rows: list[dict[str, object]] = [{"filename": "./anna/0.jpg"}, {"filename": "top.png"}]
        path = csv(tmp_path / "list.csv", rows)
        assert names(path, images=web, exclude=["anna/*"]) == ["top.png"]

    def test_entries_hold_for_all_paths_of_a_set(self, paint: Paint, web: Path) -> None:
        other = paint("faces", "anna/2.png", "carl/3.png")
        assert names([web, other], exclude=["anna/*"]) == [*self.REST, "carl/3.png"]
        assert len(names([web, other], exclude=["carl/*"])) == 6
        path = web.parent / "list.txt"
        path.write_text("carl/3.png\ntop.png\n")
        rest = ["anna/0.jpg", "anna/neutral.jpg", "bert/deep/1.png", "bert/neutral.jpg", "anna/2.png"]
        assert names([web, other], exclude=[str(path)]) == rest

    def test_excluded_images_can_be_broken(self, web: Path) -> None:
        (web / "anna/0.jpg").write_bytes(b"")
        (table,) = read(web, exclude=["anna/*"], bad_images="error")
        assert table.skipped == 0

    @pytest.mark.parametrize("entry", ["ana/*", "anna", "*/top.png", "web/anna/*", "nope.txt", "ANNA/*"])
    def test_an_entry_that_excludes_nothing_is_an_error(self, web: Path, entry: str) -> None:
        message = error_of(web, exclude=["anna/*", entry])
        assert message.startswith("data.unlabeled.web.exclude: ")
        assert f"got '{entry}', which matches none of 5 paths such as 'anna/0.jpg'" in message

    def test_a_list_that_excludes_nothing_is_an_error(self, web: Path, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_text("web/anna/0.jpg\n")
        assert f"got '{tmp_path / 'list.txt'}', which matches none of 5 paths" in error_of(
            web, exclude=[str(tmp_path / "list.txt")]
        )

    def test_lines_that_list_nothing_are_named(
        self, web: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "list.txt").write_text("top.png\nanna/1.jpg\ncarl/1.jpg\n")
        assert len(names(web, exclude=[str(tmp_path / "list.txt")])) == 4
        assert f"'{tmp_path / 'list.txt'}' lists 2 files that do not exist, such as 'anna/1.jpg'" in caplog.text

    def test_a_list_must_be_text_and_a_csv_must_have_its_column(self, web: Path, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_bytes(b"\xff\xfe\xff")
        assert "expected a UTF-8 file of paths" in error_of(web, exclude=[str(tmp_path / "list.txt")])
        csv(tmp_path / "list.csv", [{"file": "top.png"}])
        assert "expected a column 'filename'" in error_of(web, exclude=[str(tmp_path / "list.csv")])

    def test_excluding_everything_is_an_error(self, web: Path) -> None:
        message = error_of(web, exclude=["*"])
        assert message.startswith(
            f"data.unlabeled.web.path: expected images in '{web}', got none of 5 files, 5 excluded and 0 broken; "
        )


class TestBrokenImages:
    def test_broken_images_are_skipped_counted_and_named(self, web: Path, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("anna/0.jpg", "anna/neutral.jpg", "bert/neutral.jpg", "top.png"):
            (web / name).write_bytes(b"")
        (web / "anna/neutral.jpg").write_text("a text")
        (table,) = read(web)
        assert table.filenames.tolist() == ["bert/deep/1.png"]
        assert table.scores.shape == (1, 0)
        assert table.skipped == 4
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage() == (
            "data.unlabeled.web: left out 4 broken images: 'anna/0.jpg' (an empty file), 'anna/neutral.jpg' "
            "(a file that is not a JPEG, PNG or other readable image), 'bert/neutral.jpg' (an empty file) "
            "and 1 more"
        )

    def test_broken_images_are_an_error_on_demand(self, web: Path) -> None:
        (web / "top.png").write_bytes(b"")
        message = error_of(web, bad_images="error")
        assert message.startswith(
            "data.unlabeled.web.path: expected whole images, got 'top.png' (an empty file); fix them"
        )
        assert message.endswith("data.unlabeled.web.bad_images=skip")

    def test_whole_images_raise_no_warning(self, web: Path, caplog: pytest.LogCaptureFixture) -> None:
        read(web, bad_images="error")
        assert not caplog.records

    def test_rows_without_their_file_are_skipped(self, paint: Paint) -> None:
        folder = paint("faces", "a.png")
        (table,) = read(csv(folder / "list.csv", [{"filename": "nope.png"}, {"filename": "a.png"}]))
        assert (table.filenames.tolist(), table.skipped) == (["a.png"], 1)

    def test_nothing_left_is_an_error(self, paint: Paint) -> None:
        folder = paint("faces", "a.png", "b.png", "c.png")
        for name in "bc":
            (folder / f"{name}.png").write_bytes(b"")
        message = error_of(folder, exclude=["a.png"])
        expected = f"expected images in '{folder}', got none of 3 files, 1 excluded and 2 broken: 'b.png' (an empty"
        assert message.startswith(f"data.unlabeled.web.path: {expected}")


class TestRepeats:
    def test_a_file_in_two_sets_stays_in_the_first(self, paint: Paint, web: Path) -> None:
        own = paint("own", "mine.png")
        (own / "linked.jpg").symlink_to(web / "anna/0.jpg")
        sets = {"web": unlabeled_settings(web), "own": unlabeled_settings(own)}
        first, second = read_unlabeled(sets, prefer="intensity")
        assert (len(first), first.duplicates) == (5, 0)
        assert (second.filenames.tolist(), second.duplicates) == (["mine.png"], 1)

    def test_a_file_that_a_folder_holds_twice_stays_once(self, web: Path) -> None:
        (web / "zoe").symlink_to(web / "anna", target_is_directory=True)
        (web / "anna/again.jpg").symlink_to(web / "anna/0.jpg")
        (table,) = read(web)
        assert table.duplicates == 4
        assert len(table) == 5
        assert "anna/0.jpg" in table.filenames

    def test_a_set_that_adds_nothing_is_left_out(self, web: Path, caplog: pytest.LogCaptureFixture) -> None:
        sets = {"all": unlabeled_settings(web), "anna": unlabeled_settings(web / "anna")}
        assert [table.name for table in read_unlabeled(sets, prefer="intensity")] == ["all"]
        assert "anna: skipped: all 2 files already appear in earlier sets" in caplog.text


class TestHeldOut:
    @pytest.fixture
    def splits(self, tmp_path: Path) -> dict[str, list[FaceTable]]:
        labelled = read_folder(write_csv_dataset(tmp_path / "d", aus=["AU12"], subjects=4, frames=2))
        return make_splits([labelled], SplitConfig(val=0.25, test=0.25, seed=0, labeled=1.0))

    @pytest.mark.parametrize("identities", ["d", None])
    def test_subjects_of_val_and_test_are_left_out(
        self,
        splits: dict[str, list[FaceTable]],
        paint: Paint,
        identities: str | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        folder = paint("more", *(f"s{number}.png" for number in range(6)))
        rows: list[dict[str, object]] = [{"filename": f"s{n}.png", "subject": f"s{n}"} for n in range(6)]
        faces = read(csv(folder / "list.csv", rows), identities=identities)
        (left,) = without_held_out(faces, splits)
        if identities is None:  # other people who happen to have the same numbers
            assert len(left) == 6
            assert not caplog.records
        else:
            training = {str(subject) for subject in splits["train"][0].subjects}
            assert len(training) == 2
            assert set(left.subjects.tolist()) == training | {"d/s4", "d/s5"}
            assert "web: left out 2 of 6 unlabelled faces: their subjects or images are in val or test" in caplog.text

    def test_files_of_val_and_test_are_left_out_whatever_leads_to_them(
        self, splits: dict[str, list[FaceTable]], tmp_path: Path
    ) -> None:
        (tmp_path / "alias").symlink_to(tmp_path / "d", target_is_directory=True)
        (tmp_path / "links").mkdir()
        for number, file in enumerate(file for tables in splits.values() for file in tables[0].files.tolist()):
            (tmp_path / f"links/{number}{Path(file).suffix}").symlink_to(file)
        training = {str(Path(file).resolve()) for file in splits["train"][0].files.tolist()}
        for folder in ("d", "alias", "links"):
            (left,) = without_held_out(read(tmp_path / folder), splits)
            assert {str(Path(file).resolve()) for file in left.files.tolist()} == training

    def test_hidden_labels_stay_with_their_rows(self, splits: dict[str, list[FaceTable]], tmp_path: Path) -> None:
        faces = read(tmp_path / "d/labels.csv", images=tmp_path / "d/images", identities="d")
        (left,) = without_held_out(faces, splits)
        (train,) = splits["train"]
        assert left.files.tolist() == train.files.tolist()
        assert left.scores.tolist() == train.scores.tolist()
        assert left.split == "unlabeled"

    def test_a_table_that_becomes_empty_is_dropped(
        self, splits: dict[str, list[FaceTable]], tmp_path: Path, web: Path
    ) -> None:
        held_out = Path(str(splits["test"][0].files[0])).parent
        tables = [*read(held_out, key="leak"), *read(web)]
        assert [table.name for table in without_held_out(tables, splits)] == ["web"]

    def test_nothing_left_is_an_error_but_nothing_given_is_not(self, splits: dict[str, list[FaceTable]]) -> None:
        held_out = Path(str(splits["val"][0].files[0])).parent
        with pytest.raises(DataError, match=r"^data\.unlabeled: expected faces of subjects .* got none of 2 faces"):
            without_held_out(read(held_out), splits)
        assert without_held_out([], splits) == []
