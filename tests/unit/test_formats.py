"""Missing fields, extra fields, and format numbers of files."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from faceflow.formats import is_known, is_newer, known_fields


@dataclass(frozen=True, kw_only=True)
class Kept:
    name: str
    size: int = 3
    notes: dict[str, str] = field(default_factory=dict)


def test_fields_of_other_versions() -> None:
    assert known_fields(Kept, {"name": "a", "later": 5, 7: None}) == {"name": "a"}
    assert Kept(**known_fields(Kept, {"name": "a", "size": 4})) == Kept(name="a", size=4, notes={})
    with pytest.raises(LookupError) as caught:
        known_fields(Kept, {"size": 4})
    assert caught.value.args == ("name",)


@pytest.mark.parametrize(
    ("number", "newer", "known"),
    [
        (1, False, True),
        (2, False, True),
        (3, True, False),
        (0, False, False),
        (-1, False, False),
        (True, False, False),
        (2.0, False, False),
        ("2", False, False),
        (None, False, False),
    ],
)
def test_numbers_of_formats(number: object, newer: bool, known: bool) -> None:
    assert (is_newer(number, 2), is_known(number, 2)) == (newer, known)
