from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from faceflow.data.protocols.holdout import Holdout
from faceflow.data.protocols.leave_out import LeaveOneDatasetOut, LeaveOneDomainOut
from faceflow.data.protocols.protocol import apart_by_split
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.data.streams import training_streams
from faceflow.errors import ConfigError, DataError
from tests.helpers.faces import read_folder, unlabeled_settings, write_csv_dataset
from tests.helpers.folds import named, subjects, table

SPLIT = SplitConfig(val=0.3, test=0.25, seed=0, labeled=1.0)
EVERY = LeaveOneDomainOut(domains=None, legacy=False)


CAMERAS = table("faces", {"studio": range(6), "webcam": range(6, 10), "infrared": range(10, 14)})


def test_each_domain_is_tested_whole_by_a_fold_that_trains_on_the_others() -> None:
    folds = EVERY.folds([CAMERAS], SPLIT)
    assert [fold.name for fold in folds] == ["studio", "webcam", "infrared"]
    tested = [range(6), range(6, 10), range(10, 14)]
    for fold, numbers in zip(folds, tested, strict=True):
        others = named("faces", set(range(14)) - set(numbers))
        assert subjects(fold, "test") == named("faces", numbers)
        assert subjects(fold, "train") | subjects(fold, "val") == others
        assert not subjects(fold, "train") & subjects(fold, "val")
        assert len(subjects(fold, "val")) == round(0.3 * len(others))
        assert sum(len(part) for parts in fold.splits.values() for part in parts) == 28
        (test,) = fold.splits["test"]
        assert test.domains is not None
        assert (set(test.domains), test.split) == ({fold.name}, "test")


def test_the_test_share_changes_nothing_and_the_rule_says_so() -> None:
    usual, other = (EVERY.folds([CAMERAS], dataclasses.replace(SPLIT, test=share)) for share in (0.25, 0.5))
    for first, second in zip(usual, other, strict=True):
        assert [subjects(first, split) for split in first.splits] == [
            subjects(second, split) for split in second.splits
        ]
    assert usual[1].rule == (
        "leave one domain out: test on all faces of it, val 30% of the subjects of the other domains, seed 0; "
        "split.test is not used; left out: webcam"
    )
    few = EVERY.describe(dataclasses.replace(SPLIT, labeled=0.1))
    assert "labels of 10% of the training subjects" in few


def test_data_sets_without_the_column_are_domains_beside_those_that_the_column_names() -> None:
    bare, blank = table("office", range(5)), table("car", {"": range(5)})
    cameras = table("faces", {"studio": range(4), "webcam": range(4, 8)})
    folds = EVERY.folds([bare, cameras, blank], SPLIT)
    assert [fold.name for fold in folds] == ["office", "studio", "webcam", "car"]
    assert subjects(folds[0], "test") == named("office", range(5))
    assert subjects(folds[1], "test") == named("faces", range(4))
    assert subjects(folds[1], "train", "val") == (
        named("office", range(5)) | named("faces", range(4, 8)) | named("car", range(5))
    )
    assert {part.name for part in folds[1].splits["train"]} == {"office", "faces", "car"}


def test_one_value_in_two_data_sets_is_one_domain() -> None:
    first = table("first", {"webcam": range(4), "studio": range(4, 8)})
    second = table("second", {"webcam": range(4), "car": range(4, 8)})
    folds = {fold.name: fold for fold in EVERY.folds([first, second, table("car", range(3))], SPLIT)}
    assert list(folds) == ["webcam", "studio", "car"]
    assert subjects(folds["webcam"], "test") == named("first", range(4)) | named("second", range(4))
    assert [part.name for part in folds["car"].splits["test"]] == ["second", "car"]


def test_a_subject_of_the_left_out_domain_is_in_no_other_split(caplog: pytest.LogCaptureFixture) -> None:
    indoors = table("indoors", range(6), identities="study")
    outdoors = table("outdoors", range(4, 10), identities="study")
    with caplog.at_level(logging.WARNING):
        first, second = EVERY.folds([indoors, outdoors], SPLIT)
    assert subjects(first, "test") == named("study", range(6))
    assert subjects(first, "train", "val") == named("study", range(6, 10))
    assert subjects(second, "train", "val") == named("study", range(4))
    assert caplog.messages == [
        f"{domain} left out: 2 of its subjects are also in other domains; their 4 images there are not used"
        for domain in ("indoors", "outdoors")
    ]


def test_a_protocol_without_training_subjects_is_refused() -> None:
    sides = [table(name, range(6), identities="study") for name in ("left", "right")]
    with pytest.raises(DataError, match=r"^protocol: expected subjects outside the domain 'left'.*\(all 6"):
        EVERY.folds(sides, SPLIT)


@pytest.mark.parametrize("tables", [[table("faces", range(6))], [table("faces", {"studio": range(6)})]])
def test_one_domain_is_refused_with_both_ways_to_get_more(tables: list[FaceTable]) -> None:
    with pytest.raises(DataError, match=r"^protocol: expected at least two domains.*'domain' column.*data=\[a,b\]"):
        EVERY.folds(tables, SPLIT)


def test_domains_chooses_which_are_left_out_and_all_others_still_train() -> None:
    chosen = LeaveOneDomainOut(domains=["infrared", "studio"], legacy=False).folds([CAMERAS], SPLIT)
    every = {fold.name: fold for fold in EVERY.folds([CAMERAS], SPLIT)}
    assert [fold.name for fold in chosen] == ["infrared", "studio"]
    for fold in chosen:
        for split in ("train", "val", "test"):
            assert subjects(fold, split) == subjects(every[fold.name], split)


def test_the_settings_of_a_fold_make_that_fold_alone() -> None:
    for fold in EVERY.folds([CAMERAS], SPLIT):
        (alone,) = LeaveOneDomainOut(**fold.alone, legacy=False).folds([CAMERAS], SPLIT)
        assert (alone.name, alone.rule) == (fold.name, fold.rule)
        assert subjects(alone, "val") == subjects(fold, "val")


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (["webcan"], r"expected domains of the data, got 'webcan'; did you mean 'webcam'\?"),
        (["studio", "studio"], "expected every domain once, got 'studio' twice"),
        ([], "expected a list of names, or null"),
        ("studio", "expected a list of names, or null"),
        ([1], "expected a list of names, or null"),
    ],
)
def test_wrong_domains_are_refused(domains: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^protocol.domains: {message}"):
        LeaveOneDomainOut(domains=domains, legacy=False).folds([CAMERAS], SPLIT)


def test_rows_without_a_domain_among_others_are_refused() -> None:
    with pytest.raises(DataError, match=r"^faces: expected a domain in every row, or in none.*'/faces/None/4.jpg'"):
        EVERY.folds([table("faces", {"studio": range(2), "": range(2, 4)})], SPLIT)


def test_given_splits_are_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    given = [table("faces", range(5), split="train"), table("faces", range(5, 8), split="test"), table("car", range(4))]
    first, second = EVERY.folds(given, SPLIT)
    assert subjects(first, "test") == named("faces", range(8))
    assert subjects(first, "train", "val") == named("car", range(4))
    assert subjects(second, "train", "val") == named("faces", range(8))
    assert [part.name for part in first.splits["test"]] == ["faces:train", "faces:test"]
    assert caplog.messages == ["faces: this protocol ignores the split into train, val and test files"]


def test_an_image_that_two_data_sets_share_is_refused() -> None:
    with pytest.raises(DataError, match=r"^splits: expected no image in two splits, got 'b//shared/None/0.jpg'"):
        EVERY.folds([table(name, range(4), folder="shared") for name in ("a", "b")], SPLIT)


def test_no_unlabelled_face_of_the_left_out_people_is_in_the_pool(tmp_path: Path) -> None:
    folder = write_csv_dataset(tmp_path / "faces", aus=("AU12",), subjects=8, frames=2, domains=("studio", "webcam"))
    sets = {"own": unlabeled_settings(folder / "labels.csv", images=folder / "images", identities="faces")}
    for fold in EVERY.folds([read_folder(folder)], SPLIT):
        views, settings = ["unlabeled/weak"], {"include_labeled": False, "prefer": "intensity"}
        streams = training_streams(fold.splits, SPLIT, views=views, sets=sets, **settings)  # type: ignore[arg-type]
        pool = {str(subject) for part in streams["unlabeled"] for subject in part.subjects}
        assert pool == subjects(fold, "train")
        assert len(pool) == 3


def test_a_data_set_is_left_out_whole_whatever_its_domains() -> None:
    cameras = table("cameras", {"left": range(6), "right": range(6)})
    every = LeaveOneDatasetOut(datasets=None, legacy=False)
    folds = every.folds([cameras, table("office", range(5)), table("street", range(4))], SPLIT)
    assert [fold.name for fold in folds] == ["cameras", "office", "street"]
    assert subjects(folds[0], "test") == named("cameras", range(6))
    assert subjects(folds[0], "train", "val") == named("office", range(5)) | named("street", range(4))
    assert folds[0].rule == (
        "leave one data set out: test on all faces of it, val 30% of the subjects of the other data sets, seed 0; "
        "split.test is not used; left out: cameras"
    )
    (alone,) = LeaveOneDatasetOut(**folds[1].alone, legacy=False).folds([cameras, table("office", range(5))], SPLIT)
    assert subjects(alone, "test") == named("office", range(5))
    with pytest.raises(DataError, match=r"^protocol: expected at least two data sets .* only 'cameras'; train on"):
        every.folds([cameras], SPLIT)
    with pytest.raises(ConfigError, match=r"^protocol.datasets: expected data sets of the data, got 'camera'; did"):
        LeaveOneDatasetOut(datasets=["camera"], legacy=False).folds([cameras, table("office", range(5))], SPLIT)


def test_holdout_is_the_usual_split() -> None:
    (fold,) = Holdout(legacy=False).folds([CAMERAS], SPLIT)
    expected = make_splits([CAMERAS], SPLIT)
    assert (fold.name, fold.rule) == (None, "val 30% and test 25% of the subjects, seed 0")
    for split, parts in expected.items():
        assert subjects(fold, split) == {str(subject) for part in parts for subject in part.subjects}


def test_only_tables_of_one_name_are_renamed_by_their_split() -> None:
    tables = [table("a", range(2), split="train"), table("a", range(2), split="val"), table("b", range(2))]
    assert [part.name for part in apart_by_split(tables)] == ["a:train", "a:val", "b"]


def test_legacy_validates_on_the_test_faces_and_trains_on_everybody_else() -> None:
    (fold,) = Holdout(legacy=True).folds([CAMERAS], SPLIT)
    (usual,) = Holdout(legacy=False).folds([CAMERAS], SPLIT)
    assert subjects(fold, "test") == subjects(fold, "val") == subjects(usual, "test")
    assert subjects(fold, "train") == subjects(usual, "train", "val")
    assert [part.split for part in fold.splits["val"]] == ["val"]
    assert (fold.legacy, usual.legacy) == (True, False)
    assert fold.rule == "test 25% of the subjects, all others train, seed 0"
    studio, *_ = LeaveOneDomainOut(domains=None, legacy=True).folds([CAMERAS], SPLIT)
    assert subjects(studio, "val") == subjects(studio, "test") == named("faces", range(6))
    assert subjects(studio, "train") == named("faces", range(6, 14))
    assert "all the subjects of the other domains train, seed 0; split.val and split.test are not used" in studio.rule


def test_legacy_of_given_files_trains_on_the_validation_file_too() -> None:
    places = {"train": range(4), "val": range(4, 6), "test": range(6, 9)}
    given = [table("faces", people, split=split) for split, people in places.items()]
    (fold,) = Holdout(legacy=True).folds(given, SPLIT)
    assert subjects(fold, "train") == named("faces", range(6))
    assert subjects(fold, "val") == subjects(fold, "test") == named("faces", range(6, 9))
    assert [part.name for part in fold.splits["train"]] == ["faces:train", "faces:val"]
    with pytest.raises(DataError, match=r"^protocol.legacy: expected test faces"):
        Holdout(legacy=True).folds([CAMERAS], dataclasses.replace(SPLIT, test=0.0))
