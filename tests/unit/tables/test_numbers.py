from __future__ import annotations

import pytest

from faceflow.tables.numbers import AmbiguousNumberError, Marks, find_marks, read_number

NOTHING, COMMA, POINT = Marks(comma=False, point=False), Marks(comma=True, point=False), Marks(comma=False, point=True)


@pytest.mark.parametrize(
    ("texts", "comma", "point"),
    [
        (["1", "-1", "", "x"], False, False),
        (["1,500", "12,345"], False, False),  # thousands perhaps
        (["1.500"], False, False),
        (["1,500", "0,5"], True, False),
        (["0,125"], True, False),  # no group begins with 0
        (["1,25"], True, False),
        (["0.5"], False, True),
        (["1.234,5"], True, False),
        (["1,234.5"], False, True),
        (["1,5", "1.5"], True, True),
    ],
)
def test_decimal_marks_are_those_that_can_be_nothing_else(texts: list[str], comma: bool, point: bool) -> None:
    assert find_marks(texts) == Marks(comma=comma, point=point)


@pytest.mark.parametrize(
    ("text", "marks", "number"),
    [
        ("3", NOTHING, 3),
        (" +2.5e1 ", NOTHING, 25),
        (".5", NOTHING, 0.5),
        ("1,5", NOTHING, 1.5),
        ("1,500", COMMA, 1.5),
        ("1,500", POINT, 1500),
        ("1.500", NOTHING, 1.5),  # as every program reads it
        ("1.500", POINT, 1.5),
        ("1.500", COMMA, 1500),
        ("1.234,5", COMMA, 1234.5),
        ("1,234.5", POINT, 1234.5),
        ("1,234,567", NOTHING, 1234567),
        ("1.234.567", NOTHING, 1234567),
        ("1 234,5", COMMA, 1234.5),
        ("1'234", NOTHING, 1234),
        ("12\u202f345", NOTHING, 12345),
        ("n/a", NOTHING, None),
        ("", NOTHING, None),
    ],
)
def test_a_number_is_what_its_table_says(text: str, marks: Marks, number: float | None) -> None:
    assert read_number(text, marks) == number


@pytest.mark.parametrize("marks", [NOTHING, Marks(comma=True, point=True)])
def test_a_fraction_that_can_be_thousands_is_refused(marks: Marks) -> None:
    with pytest.raises(AmbiguousNumberError):
        read_number("1,500", marks)


@pytest.mark.parametrize("text", ["x", "1,2,3", "1_000", "0x3", "inf", "1.5.", "1,234,5", "--1", "12,34,567", "5 %"])
def test_other_texts_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_number(text, NOTHING)
