"""Numbers as people write them: decimal comma or point, thousands separators, codes for missing values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MISSING = ("", "nan", "na", "n/a", "null", "none")

_PLAIN = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?P<mark>[.,' \u00a0\u202f])\d{3})(?:(?P=mark)\d{3})*(?P<decimals>[.,]\d*)?")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # one decimal number, or one group of thousands


@dataclass(frozen=True)
class Marks:
    """Decimal marks that a table uses without doubt."""

    comma: bool
    point: bool

    @property
    def note(self) -> tuple[str, ...]:
        """Note for reports."""
        return ("decimal commas",) if self.comma else ()


class AmbiguousNumberError(ValueError):
    """A number that may mean a fraction or thousands."""


def find_marks(texts: Iterable[str]) -> Marks:
    """Decimal marks among the numbers of a table: "1,5" and "0,125" show a comma, "1,500" shows nothing."""
    marks = set()
    for text in set(texts):
        number = text.strip().lower()
        if _PLAIN.fullmatch(number) and not _EITHER.fullmatch(number):
            marks |= {mark for mark in ",." if mark in number}
        elif (grouped := _GROUPED.fullmatch(number)) and grouped["decimals"] and grouped["decimals"][0] != grouped[1]:
            marks.add(grouped["decimals"][0])
    return Marks(comma="," in marks, point="." in marks)


def read_number(text: str, marks: Marks) -> float | None:
    """Read a number; None if the text means a missing value.

    "1,234" depends on the other numbers of the table: 1.234 beside "0,5", and 1234 beside "0.5". "1.234" is 1234 only
    in a table with decimal commas and no decimal points.

    Raises:
        AmbiguousNumberError: a comma whose meaning the table does not show.
        ValueError: not a number.
    """
    number = text.strip().lower()
    if number in MISSING:
        return None
    if _EITHER.fullmatch(number):
        if "," in number and marks.comma == marks.point:
            raise AmbiguousNumberError(text)
        grouping = "," if marks.point else "."
        whole = marks.comma != marks.point and grouping in number
        return float(number.replace(grouping, "") if whole else number.replace(",", "."))
    if _PLAIN.fullmatch(number):
        return float(number.replace(",", "."))
    grouped = _GROUPED.fullmatch(number)
    if grouped is None or (grouped["decimals"] and grouped["decimals"][0] == grouped["mark"]):
        raise ValueError(text)
    digits = number.removesuffix(grouped["decimals"] or "").replace(grouped["mark"], "")
    return float(digits + (grouped["decimals"] or "").replace(",", "."))
