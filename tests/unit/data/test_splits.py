from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, check_leaks, hide_labels, make_splits, without_subjects
from faceflow.data.subjects import unify
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from tests.helpers.faces import made_up_hashes, read_tables_of, write_csv_dataset

CONFIG = SplitConfig(val=0.15, test=0.25, seed=0, labeled=1.0)
Splits = Mapping[str, Sequence[FaceTable]]


def table(
    subjects: Iterable[object],
    *,
    name: str = "faces",
    identities: str | None = None,
    split: str | None = None,
    frames: int = 2,
) -> FaceTable:
    """Rows of some subjects, `frames` each, interleaved as videos of a study would not be."""
    names = [str(subject) for subject in subjects] * frames
    files = np.array([f"/{name}/{split}/{row}.jpg" for row in range(len(names))])
    return FaceTable(
        name=name,
        columns=("AU12",),
        scales=(LabelScale(score_max=5, occurrence_min=2),),
        scores=np.arange(len(names), dtype=np.float64)[:, None] % 6,
        files=files,
        filenames=files,
        subjects=np.array([f"{identities or name}/{subject}" for subject in names]),
        identities=np.array([f"{identities or name}/{subject}" for subject in names]),
        pictures=made_up_hashes(files),
        has_subjects=True,
        domains=None,
        split=split,
        duplicates=0,
        skipped=0,
    )


def sharing(labeled: float, seed: int = 0) -> SplitConfig:
    return SplitConfig(val=0.15, test=0.25, seed=seed, labeled=labeled)


def people(tables: Iterable[FaceTable]) -> set[str]:
    return {str(subject) for part in tables for subject in part.subjects}


def subjects(splits: Splits, split: str, name: str | None = None) -> set[str]:
    parts = [part for part in splits[split] if name in (None, part.name)]
    return {str(subject) for part in parts for subject in part.subjects}


def rows(splits: Splits) -> list[str]:
    return sorted(str(file) for parts in splits.values() for part in parts for file in part.files)


def placement(splits: Splits) -> dict[str, str]:
    return {subject: split for split in splits for subject in subjects(splits, split)}


class TestShares:
    @pytest.mark.parametrize(
        ("val", "test", "message"),
        [
            (0, 0.2, "split: expected val > 0"),
            (0.5, 0.5, "val \\+ test < 1, got 0.5 and 0.5"),
            (1, 0, "split.val: expected a share from more than 0 to below 1, got 1"),
            (-0.1, 0, "split.val: "),
            (0.2, 1.0, "split.test: expected a share from 0 to below 1"),
            (True, 0, "split.val: .* got True"),
            ("0.2", 0, "split.val: .* got '0.2'"),
            (float("nan"), 0, "split.val: .* got nan"),
        ],
    )
    def test_shares_leave_something_to_train_on_and_to_validate(self, val: float, test: float, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            SplitConfig(val=val, test=test, seed=0, labeled=1.0)

    def test_no_test_share_is_fine(self) -> None:
        splits = make_splits([table(range(10))], SplitConfig(val=0.2, test=0, seed=0, labeled=1.0))
        assert [len(subjects(splits, split)) for split in ("train", "val", "test")] == [8, 2, 0]
        assert splits["test"] == []

    def test_a_config_says_itself(self) -> None:
        assert str(CONFIG) == "val 15% and test 25% of the subjects, seed 0"
        assert (
            str(sharing(0.07)) == "val 15% and test 25% of the subjects, seed 0, labels of 7% of the training subjects"
        )
        assert str(sharing(0.005)).endswith("labels of 0.5% of the training subjects")

    @pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "0.5", None, float("nan")])
    def test_a_share_of_labels_is_above_zero_and_at_most_one(self, share: Any) -> None:
        with pytest.raises(ConfigError, match=rf"^split\.labeled: expected a share in \(0, 1\], got {share!r}$"):
            sharing(share)


class TestOneTable:
    def test_shares_count_subjects(self) -> None:
        splits = make_splits([table(range(20))], CONFIG)
        assert [len(subjects(splits, split)) for split in ("train", "val", "test")] == [12, 3, 5]

    def test_every_subject_is_in_exactly_one_split_and_no_row_is_lost(self) -> None:
        whole = table(range(27), frames=5)
        splits = make_splits([whole], CONFIG)
        for first, second in itertools.combinations(splits, 2):
            assert not subjects(splits, first) & subjects(splits, second)
        assert rows(splits) == sorted(whole.files.tolist())
        assert all(part.split == split for split, parts in splits.items() for part in parts)

    def test_the_seed_decides_alone(self) -> None:
        first, again, other = (
            placement(make_splits([table(range(27))], SplitConfig(val=0.15, test=0.25, seed=seed, labeled=1.0)))
            for seed in (0, 0, 1)
        )
        assert first == again
        assert first != other

    def test_rows_and_their_order_do_not_move_subjects(self) -> None:
        base = placement(make_splits([table(range(20))], CONFIG))
        assert placement(make_splits([table(range(20), frames=7)], CONFIG)) == base
        assert placement(make_splits([table(reversed(range(20)))], CONFIG)) == base
        fewer = table(range(20), frames=3)
        fewer = fewer.select(np.arange(len(fewer)) != 5, None)
        assert placement(make_splits([fewer], CONFIG)) == base

    def test_three_subjects_go_one_to_each_split(self) -> None:
        splits = make_splits([table("abc")], SplitConfig(val=0.6, test=0.35, seed=3, labeled=1.0))
        assert [len(subjects(splits, split)) for split in ("train", "val", "test")] == [1, 1, 1]

    @pytest.mark.parametrize(("count", "test", "needed"), [(2, 0.25, 3), (1, 0, 2)])
    def test_too_few_subjects(self, count: int, test: float, needed: int) -> None:
        with pytest.raises(
            DataError, match=rf"^faces: expected at least {needed} subjects .* got {count}; add subjects"
        ):
            make_splits([table(range(count))], SplitConfig(val=0.15, test=test, seed=0, labeled=1.0))

    def test_images_without_subjects_are_split_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        unknown = dataclasses.replace(table(range(10)), has_subjects=False)
        with caplog.at_level(logging.WARNING):
            make_splits([unknown], CONFIG)
        assert "faces: no 'subject' column, so images are split at random" in caplog.text

    def test_subjects_raise_no_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            make_splits([table(range(10))], CONFIG)
        assert not caplog.records


class TestStatedSplits:
    def test_stated_splits_are_kept(self) -> None:
        stated = [table("abc", split="train"), table("d", split="val"), table("ef", split="test")]
        splits = make_splits(stated, CONFIG)
        assert {split: len(parts[0]) for split, parts in splits.items()} == {"train": 6, "val": 2, "test": 4}
        assert all(splits[str(part.split)][0] is part for part in stated)

    def test_without_a_validation_file_subjects_are_taken_from_training(self) -> None:
        splits = make_splits([table(range(20), split="train"), table("xy", split="test")], CONFIG)
        assert [len(subjects(splits, split)) for split in ("train", "val", "test")] == [17, 3, 2]
        assert subjects(splits, "test") == {"faces/x", "faces/y"}

    def test_without_a_test_file_a_data_set_is_not_tested(self) -> None:
        splits = make_splits([table("abc", split="train"), table("d", split="val")], CONFIG)
        assert splits["test"] == []

    def test_another_data_set_does_not_stand_in_for_the_validation_file(self) -> None:
        other = [table("pq", name="other", split="train"), table("r", name="other", split="val")]
        splits = make_splits([table(range(10), split="train"), *other], CONFIG)
        assert len(subjects(splits, "val", "faces")) == 2
        assert subjects(splits, "val", "other") == {"other/r"}

    @pytest.mark.parametrize("pair", [("train", "val"), ("train", "test"), ("val", "test")])
    def test_a_subject_in_two_files_is_an_error_that_names_one(self, pair: tuple[str, str]) -> None:
        people = {"train": ["a", "b"], "val": ["c", "d"], "test": ["e", "f"]}
        people[pair[1]].append(people[pair[0]][0])
        stated = [table(names, split=split) for split, names in people.items()]
        with pytest.raises(DataError) as caught:
            make_splits(stated, CONFIG)
        leaked = people[pair[0]][0]
        assert f"got 'faces/{leaked}' in {pair[0]} and {pair[1]} (1 shared)" in str(caught.value)

    def test_a_training_subject_in_the_test_file_is_not_moved_there_in_silence(self) -> None:
        stated = [table(range(20), split="train"), table([3, "x"], split="test")]
        with pytest.raises(DataError, match=r"got 'faces/3' in train and test \(1 shared\)"):
            make_splits(stated, CONFIG)

    def test_an_image_in_two_files_is_an_error_that_names_it(self) -> None:
        train = dataclasses.replace(table("ab", split="train"), pictures=np.array([1, 2, 3, 4]))
        val = dataclasses.replace(table("c", split="val"), pictures=np.array([4, 5]))
        message = (
            r"^splits: expected no image in two splits, got 'faces//faces/train/3.jpg' in train, the same as "
            r"'faces//faces/val/0.jpg' in val \(1 shared\)"
        )
        with pytest.raises(DataError, match=message):
            check_leaks({"train": [train], "val": [val], "test": []})

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_nothing_to_train_on_is_an_error(self, split: str) -> None:
        with pytest.raises(DataError, match=r"splits: expected rows in train, got none; set data\.sources\.\*\.train"):
            make_splits([table("abc", split=split)], CONFIG)

    def test_leaks_between_real_split_files_are_refused(self, tmp_path: Path) -> None:
        parts = {
            split: write_csv_dataset(tmp_path / folder, aus=["AU12"], subjects=subjects, frames=2)
            for split, folder, subjects in (("train", "a", 3), ("test", "b", 2))
        }
        files: dict[str, Any] = {
            split: (folder / "labels.csv").rename(tmp_path / f"{split}_a.csv") for split, folder in parts.items()
        }
        tables = read_tables_of("csv", images=tmp_path / "a/images", **files)
        with pytest.raises(DataError, match=r"/s[01]/[01].(jpg|png)' in (train|val) and test"):
            make_splits(tables, CONFIG)


class TestSharedPeople:
    """DISFA and DISFA+, say: 27 subjects, 9 of whom are in both."""

    PEOPLE = tuple(f"SN{number:03d}" for number in range(27))

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("order", [1, -1])
    def test_a_subject_of_two_data_sets_gets_one_split(self, seed: int, order: int) -> None:
        disfa = table(self.PEOPLE, name="disfa", identities="people")
        plus = table(self.PEOPLE[:9], name="disfa_plus", identities="people", frames=3)
        splits = make_splits([disfa, plus][::order], SplitConfig(val=0.15, test=0.25, seed=seed, labeled=1.0))
        for first, second in itertools.combinations(splits, 2):
            assert not subjects(splits, first) & subjects(splits, second)
        # round(27 * (.15, .25)) = 4, 7; round(9 * ...) = 1, 2
        assert [len(subjects(splits, split, "disfa")) for split in ("train", "val", "test")] == [16, 4, 7]
        assert [len(subjects(splits, split, "disfa_plus")) for split in ("train", "val", "test")] == [6, 1, 2]
        assert [part.name for part in splits["train"]] == ["disfa", "disfa_plus"][::order]
        assert rows(splits) == sorted([*disfa.files.tolist(), *plus.files.tolist()])

    def test_the_order_of_the_data_sets_does_not_matter(self) -> None:
        pair = [table(range(10), name=name, identities="people") for name in ("a", "b")]
        assert placement(make_splits(pair, CONFIG)) == placement(make_splits(pair[::-1], CONFIG))

    def test_a_data_set_follows_the_stated_splits_of_another(self) -> None:
        stated = [
            table(people, name="disfa", identities="people", split=split)
            for split, people in (("train", self.PEOPLE[:15]), ("val", self.PEOPLE[15:18]), ("test", self.PEOPLE[18:]))
        ]
        plus = table(self.PEOPLE[10:20], name="disfa_plus", identities="people")
        splits = make_splits([plus, *stated], CONFIG)
        assert subjects(splits, "train", "disfa_plus") == {f"people/{name}" for name in self.PEOPLE[10:15]}
        assert subjects(splits, "val", "disfa_plus") == {f"people/{name}" for name in self.PEOPLE[15:18]}
        assert subjects(splits, "test", "disfa_plus") == {f"people/{name}" for name in self.PEOPLE[18:20]}

    def test_training_subjects_of_one_never_become_test_subjects_of_another(self) -> None:
        stated = table(range(12), name="stated", identities="people", split="train")
        small = table(range(5), name="small", identities="people")
        splits = make_splits([small, stated], CONFIG)
        assert subjects(splits, "test") == set()
        assert subjects(splits, "train") | subjects(splits, "val") == {f"people/{number}" for number in range(12)}

    def test_a_few_subjects_that_are_all_placed_need_no_split_of_their_own(self) -> None:
        stated = [
            table(people, name="big", identities="people", split=split)
            for split, people in (("train", "abc"), ("val", "d"), ("test", "e"))
        ]
        splits = make_splits([*stated, table("e", name="small", identities="people")], CONFIG)
        assert subjects(splits, "test", "small") == {"people/e"}
        assert not subjects(splits, "train", "small")

    def test_without_a_common_namespace_equal_names_are_different_subjects(self) -> None:
        alone = placement(make_splits([table(range(10), name="a")], CONFIG))
        both = placement(make_splits([table(range(10), name="a"), table(range(4), name="b")], CONFIG))
        assert {subject: split for subject, split in both.items() if subject.startswith("a/")} == alone
        assert sorted(split for subject, split in both.items() if subject.startswith("b/")) == [
            *["test", "train", "train", "val"]
        ]

    def test_the_same_images_under_two_names_stay_in_one_split(self) -> None:
        first = table(range(10), name="a")
        second = dataclasses.replace(table(range(10), name="b"), pictures=first.pictures[::-1])
        placed = placement(make_splits(unify([first, second]), CONFIG))
        assert set(placed) == {f"a/{number}" for number in range(10)}
        assert set(placed.values()) == {"train", "val", "test"}


class TestLeavingOut:
    def test_rows_of_some_subjects_are_left_out(self) -> None:
        kept = without_subjects(table("abc"), {"faces/a", "faces/c", "other/b"})
        assert set(kept.subjects.tolist()) == {"faces/b"}
        assert len(kept) == 2

    def test_no_subject_or_every_subject_can_be_left_out(self) -> None:
        assert len(without_subjects(table("abc"), set())) == 6
        assert len(without_subjects(table("ab"), {"faces/a", "faces/b"})) == 0


class TestHiddenLabels:
    def test_all_labels_are_kept_by_a_share_of_one(self) -> None:
        train = [table(range(5), split="train")]
        labelled, hidden = hide_labels(train, sharing(1))
        assert labelled == train
        assert hidden == []

    def test_rows_go_by_subject_and_none_is_lost(self) -> None:
        whole = table(range(20), split="train", frames=3)
        (labelled,), (hidden,) = hide_labels([whole], sharing(0.3))
        assert (len(people([labelled])), len(people([hidden]))) == (6, 14)
        assert not people([labelled]) & people([hidden])
        assert (len(labelled), len(hidden)) == (18, 42)
        assert sorted([*labelled.files.tolist(), *hidden.files.tolist()]) == sorted(whole.files.tolist())
        assert (labelled.split, hidden.split) == ("train", "unlabeled")
        assert hidden.columns == ("AU12",)
        label_of = dict(zip(whole.files.tolist(), whole.scores.tolist(), strict=True))
        assert hidden.scores.tolist() == [label_of[file] for file in hidden.files.tolist()]

    @pytest.mark.parametrize("seed", range(5))
    def test_larger_shares_contain_the_smaller_ones(self, seed: int) -> None:
        train = [
            table(range(23), name="a", identities="people", split="train"),
            table(range(9, 50), name="b", identities="people", split="train"),
        ]
        shares = (0.01, 0.1, 0.3, 0.31, 0.5, 0.9)
        chosen = [people(hide_labels(train, sharing(share, seed))[0]) for share in shares]
        assert all(small <= large for small, large in itertools.pairwise(chosen))
        assert len(chosen[0]) < len(chosen[2]) < len(chosen[-1])

    def test_the_seed_and_the_subjects_decide_alone(self) -> None:
        def chosen(*train: FaceTable, seed: int = 0) -> set[str]:
            return people(part for part in hide_labels(train, sharing(0.3, seed))[0] if part.name == "faces")

        base = chosen(table(range(30)))
        assert chosen(table(reversed(range(30)), frames=5)) == base
        assert chosen(table(range(7), name="other"), table(range(30))) == base
        assert chosen(table(range(30)), seed=1) != base

    def test_every_data_set_keeps_a_labelled_subject(self) -> None:
        train = [table(range(30), name="a"), table("xy", name="b"), table("z", name="c")]
        labelled, hidden = hide_labels(train, sharing(0.1))
        assert {part.name: len(people([part])) for part in labelled} == {"a": 3, "b": 1, "c": 1}
        assert {part.name: len(people([part])) for part in hidden} == {"a": 27, "b": 1}

    @pytest.mark.parametrize("seed", range(5))
    def test_a_subject_of_two_data_sets_is_labelled_in_both_or_in_none(self, seed: int) -> None:
        train = [
            table(range(27), name="disfa", identities="people"),
            table(range(9), name="disfa_plus", identities="people"),
        ]
        labelled, hidden = hide_labels(train, sharing(0.2, seed))
        assert not people(labelled) & people(hidden)
        assert people(labelled) | people(hidden) == {f"people/{number}" for number in range(27)}
        # round(0.2 * 27) = 5 and round(0.2 * 9) = 2, which may be among the 5
        assert 5 <= len(people(labelled)) <= 7

    def test_without_subjects_files_are_drawn(self) -> None:
        files = [f"{number}.jpg" for number in range(40)]
        unknown = dataclasses.replace(table(files, frames=1), has_subjects=False)
        (labelled,), (hidden,) = hide_labels([unknown], sharing(0.25))
        assert (len(labelled), len(hidden)) == (10, 30)
