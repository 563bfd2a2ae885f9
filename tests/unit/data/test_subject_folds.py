"""Folds by subject: drawn folds and published folds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from faceflow.config.instantiate import instantiate
from faceflow.config.paths import config_dir
from faceflow.data.protocols.protocol import Fold
from faceflow.data.protocols.subject_folds import KFold, SubjectFolds, list_subjects
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig
from faceflow.errors import ConfigError, DataError
from tests.helpers.folds import named, subjects, table

SPLIT = SplitConfig(val=0.25, test=0.25, seed=0, labeled=1.0)
FACES = table("faces", range(10))


def kfold(k: int = 3, *, seed: int = 0, only: list[str] | None = None, legacy: bool = False) -> KFold:
    return KFold(k=k, seed=seed, only=only, legacy=legacy)


def stated(subjects: Any, **changes: Any) -> SubjectFolds:
    settings = {"title": "two folds", "only": None, "identities": None, "others": "error", "legacy": False}
    return SubjectFolds(subjects=subjects, **(settings | changes))


def who_is_tested(folds: Sequence[Fold]) -> list[set[str]]:
    return [subjects(fold, "test") for fold in folds]


def test_every_subject_is_tested_once_and_validation_is_drawn_from_the_others() -> None:
    folds = kfold().folds([FACES], SPLIT)
    assert [fold.name for fold in folds] == ["fold1", "fold2", "fold3"]
    assert sorted(map(len, who_is_tested(folds))) == [3, 3, 4]
    assert set.union(*who_is_tested(folds)) == named("faces", range(10))
    for fold in folds:
        train, val, test = (subjects(fold, split) for split in ("train", "val", "test"))
        assert not train & val
        assert not (train | val) & test
        assert train | val | test == named("faces", range(10))
        assert len(val) == round(0.25 * len(train | val))
        assert fold.subjects == sorted(test)


def test_the_seed_draws_the_folds_and_the_order_of_the_rows_does_not() -> None:
    first = who_is_tested(kfold().folds([FACES], SPLIT))
    assert who_is_tested(kfold().folds([table("faces", reversed(range(10)))], SPLIT)) == first
    assert who_is_tested(kfold(seed=1).folds([FACES], SPLIT)) != first
    assert who_is_tested(kfold().folds([FACES], SplitConfig(val=0.4, test=0, seed=5, labeled=1.0))) == first


def test_every_data_set_is_tested_in_every_fold_by_its_share_of_subjects() -> None:
    tables = [table("few", range(4)), table("many", range(11)), table("some", range(7))]
    folds = kfold().folds(tables, SPLIT)
    for name, total in (("few", 4), ("many", 11), ("some", 7)):
        shares = [sum(subject.startswith(f"{name}/") for subject in people) for people in who_is_tested(folds)]
        assert sum(shares) == total
        assert max(shares) - min(shares) <= 1
    assert max(map(len, who_is_tested(folds))) - min(map(len, who_is_tested(folds))) <= 1


def test_a_subject_of_two_data_sets_is_in_one_fold() -> None:
    folds = kfold().folds([table("a", range(6), identities="x"), table("b", range(3, 12), identities="x")], SPLIT)
    assert sum(map(len, who_is_tested(folds))) == 12
    assert set.union(*who_is_tested(folds)) == named("x", range(12))


def test_chosen_folds_are_those_of_the_whole() -> None:
    every = {fold.name: fold for fold in kfold().folds([FACES], SPLIT)}
    (second,) = kfold(only=["fold2"]).folds([FACES], SPLIT)
    assert (second.name, second.rule) == ("fold2", every["fold2"].rule)
    for split in ("train", "val", "test"):
        assert subjects(second, split) == subjects(every["fold2"], split)
    assert every["fold2"].alone == {"only": ["fold2"]}


def test_the_rule_names_the_tested_subjects() -> None:
    first, *_ = kfold(k=5).folds([FACES], SPLIT)
    names = " ".join(subject.removeprefix("faces/") for subject in sorted(subjects(first, "test")))
    assert first.rule == (
        "5 folds by subject, drawn with seed 0; val 25% of the others, seed 0; split.test is not used; "
        f"fold1 tests {names}"
    )
    assert list_subjects(["a/1", "b/1"]) == "a/1 b/1"
    assert list_subjects(map(str, range(41))) == "41 subjects"


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (11, r"^faces: expected at least as many subjects as folds \(11\), got 10; lower protocol.k$"),
        (1, r"^protocol.k: expected a whole number >= 2, got 1"),
        (2.5, r"^protocol.k: expected a whole number >= 2, got 2.5"),
    ],
)
def test_an_invalid_number_of_folds_is_refused(k: Any, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        kfold(k).folds([FACES], SPLIT)


def test_an_unknown_fold_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^protocol.only: expected folds of the protocol, got 'fold4'; did you mean"):
        kfold(only=["fold4"]).folds([FACES], SPLIT)


def test_legacy_folds_validate_on_the_tested_subjects() -> None:
    for fold in kfold(legacy=True).folds([FACES], SPLIT):
        assert fold.legacy
        assert subjects(fold, "val") == subjects(fold, "test")
        assert subjects(fold, "train") == named("faces", range(10)) - subjects(fold, "test")


TWO = {"a": ["0", "1", "2"], "b": ["3", "4", "5"]}
SIX = table("faces", range(6))


def test_stated_folds_test_the_subjects_they_name() -> None:
    folds = stated(TWO).folds([SIX], SPLIT)
    assert who_is_tested(folds) == [named("faces", range(3)), named("faces", range(3, 6))]
    assert folds[0].rule == "two folds; val 25% of the other subjects, seed 0; split.test is not used; a tests 0 1 2"
    (alone,) = stated(TWO, **folds[1].alone).folds([SIX], SPLIT)
    assert subjects(alone, "val") == subjects(folds[1], "val")


def test_subjects_that_the_data_lack_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        folds = stated(TWO).folds([table("faces", range(1, 6))], SPLIT)
    assert who_is_tested(folds) == [named("faces", (1, 2)), named("faces", range(3, 6))]
    assert caplog.messages == [
        "protocol: 1 of its 6 subjects are not in the data (0), so results do not cover the whole data set"
    ]


def test_subjects_in_no_fold_are_refused_or_train(caplog: pytest.LogCaptureFixture) -> None:
    tables = [SIX, table("more", range(6, 13))]
    with pytest.raises(DataError, match=r"one of its folds, got 7 in none \(more/10, .*, \.\.\.\); .*others=train$"):
        stated(TWO).folds(tables, SPLIT)
    with caplog.at_level(logging.WARNING):
        folds = stated(TWO, others="train").folds(tables, SPLIT)
    assert who_is_tested(folds) == [named("faces", range(3)), named("faces", range(3, 6))]
    assert named("more", range(6, 13)) <= subjects(folds[0], "train", "val")
    assert "7 subjects that are in no fold are trained on in every fold" in caplog.text


def test_one_name_for_two_subjects_is_refused_until_the_fold_namespace_is_set() -> None:
    tables = [SIX, table("others", range(6))]
    with pytest.raises(ConfigError, match=r"^protocol.identities: expected a name, since faces/0 and others/0 may be"):
        stated(TWO, others="train").folds(tables, SPLIT)
    folds = stated(TWO, others="train", identities="faces").folds(tables, SPLIT)
    assert who_is_tested(folds) == [named("faces", range(3)), named("faces", range(3, 6))]


def test_a_fold_of_which_nobody_is_there_is_refused_unless_it_is_not_run() -> None:
    half = table("faces", range(3, 9))
    three = TWO | {"c": ["6", "7", "8"]}
    with pytest.raises(DataError, match=r"^protocol.subjects.a: expected some of its 3 subjects .*protocol.only="):
        stated(three).folds([half], SPLIT)
    assert who_is_tested(stated(three, only=["c"]).folds([half], SPLIT)) == [named("faces", range(6, 9))]
    with pytest.raises(DataError, match=r"^protocol.subjects: expected subjects such as 0, 1, .*, got other/7, other"):
        stated(TWO).folds([table("other", range(7, 9))], SPLIT)


@pytest.mark.parametrize(
    ("subjects", "changes", "message"),
    [
        ({"a": ["1"], "b": ["1"]}, {}, r"protocol.subjects: expected every subject once, got '1' twice"),
        ({"a": [1]}, {}, r"protocol.subjects.a: expected a list of names \(numbers in quotes\), got \[1\]"),
        ({}, {}, r"protocol.subjects: expected a list of subjects per fold, got {}"),
        (TWO, {"others": "test"}, r"protocol.others: expected error or train, got 'test'"),
        (TWO, {"only": ["c"]}, r"protocol.only: expected folds of the protocol, got 'c'"),
    ],
)
def test_folds_that_contradict_themselves_are_refused(subjects: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        stated(subjects, **changes).folds([SIX], SPLIT)


def everybody(name: str) -> FaceTable:
    """The subjects of a published data set."""
    people = {"disfa": [f"SN{n:03d}" for n in (*range(1, 14), 16, 17, 18, 21, *range(23, 33))]}
    for data, women, men in (("bp4d", 23, 18), ("bp4d_plus", 82, 58)):
        people[data] = [f"F{n:03d}" for n in range(1, women + 1)] + [f"M{n:03d}" for n in range(1, men + 1)]
    return table(name, people[name])


@pytest.mark.parametrize(
    ("option", "data", "sizes", "member"),
    [
        ("disfa3", "disfa", [9, 9, 9], ("fold1", "SN003")),
        ("bp4d3", "bp4d", [14, 14, 13], ("part3", "F004")),
        ("bp4d_plus4", "bp4d_plus", [35, 35, 35, 35], ("fold1", "M040")),
    ],
)
def test_published_folds_divide_their_data_set(
    option: str, data: str, sizes: list[int], member: tuple[str, str]
) -> None:
    config = OmegaConf.load(Path(config_dir()) / f"protocol/{option}.yaml")
    protocol = instantiate(config, key="protocol")
    folds = protocol.folds([everybody(data)], SPLIT)
    assert list(map(len, who_is_tested(folds))) == sizes
    assert sum(sizes) == len(set.union(*who_is_tested(folds)))
    names = {fold.name: who_is_tested([fold])[0] for fold in folds}
    assert f"{data}/{member[1]}" in names[member[0]]
