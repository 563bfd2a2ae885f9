from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from faceflow.data.sources import FaceTable
from faceflow.data.subject_ids import identity_of, normal_id, shared_pictures
from faceflow.data.subjects import connected, unify
from tests.helpers.folds import table


def rows(name: str, subjects: list[str], pictures: list[int], *, named: bool = True) -> FaceTable:
    """One row per subject and picture."""
    whole = table(name, range(len(subjects)))
    whole_ids = np.array([f"{name}/{subject}" for subject in subjects])
    return dataclasses.replace(
        whole.select(np.arange(len(subjects)), None),
        subjects=whole_ids,
        identities=np.array([identity_of(each) for each in whole_ids]) if named else whole_ids,
        pictures=np.array(pictures),
        has_subjects=named,
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("001", "1"),
        ("1.0", "1"),
        ("1.00", "01"),
        ("0", "000"),
        ("S01", "s1"),
        ("SN001", "sn1"),
        (" anna  b ", "Anna B"),
        ("Ångström", "A\u030angstro\u0308m"),
        ("１２", "12"),  # noqa: RUF001  (full-width digits of a Japanese keyboard)
        ("a_007_03", "A_7_3"),
    ],
)
def test_spellings_of_one_subject_meet(one: str, other: str) -> None:
    assert normal_id(one) == normal_id(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "10"), ("1.0", "1.5"), ("1.0", "10"), ("S1", "T1"), ("a1", "a_1"), ("-1", "1"), ("12", "1 2")],
)
def test_other_subjects_do_not(one: str, other: str) -> None:
    assert normal_id(one) != normal_id(other)


def test_normal_ids_are_their_own_normal_form() -> None:
    for subject in ("001", "1.0", "S01", "Ångström 007", "", "x.0"):
        assert normal_id(normal_id(subject)) == normal_id(subject)


def test_only_the_subject_is_normalised() -> None:
    assert identity_of("BP4D/F001") == "BP4D/f1"


def test_rows_are_connected_over_ids_and_pictures() -> None:
    first = rows("a", ["1", "01", "2", "3"], [1, 2, 3, 4])
    second = rows("b", ["x", "y", "z"], [9, 3, 8])
    third = rows("c", ["0.jpg", "1.jpg", "2.jpg"], [8, 4, 7], named=False)
    group = connected([first, second, third])
    assert group.tolist() == [0, 0, 2, 3, 4, 2, 6, 6, 3, 9]


def test_one_subject_gets_one_subject_and_what_met_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    first, second = unify([rows("a", ["1", "01", "2"], [1, 2, 3]), rows("b", ["x", "y"], [9, 3])])
    assert first.subjects.tolist() == ["a/01", "a/01", "a/2"]
    assert second.subjects.tolist() == ["b/x", "a/2"]
    assert [record.getMessage() for record in caplog.records] == [
        "subject: '01' and '1' are treated as one subject; use one spelling per subject",
        "'/a/None/2.jpg' (a/2) and '/b/None/1.jpg' (b/y) are the same image, so both subjects stay in one split",
    ]


def test_subjects_without_matches_are_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    before = [rows("a", ["S10", "S2"], [1, 2]), rows("b", ["S10"], [3])]
    after = unify(before)
    assert [part.subjects.tolist() for part in after] == [part.subjects.tolist() for part in before]
    assert not caplog.records
    assert unify([]) == []


def test_pictures_of_several_subjects_are_found() -> None:
    shared = shared_pictures(np.array([5, 6, 5, 7, 6, 5]), np.array(["a", "a", "b", "b", "a", "a"]))
    assert shared == [(0, 0), (2, 0), (5, 0)]
