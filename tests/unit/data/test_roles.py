"""A sample of the random cases of tests/slow/test_who_is_who.py."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.roles import play


def test_no_subject_is_in_two_roles(tmp_path: Path) -> None:
    outcomes = [play(tmp_path / str(case), seed=case) for case in range(20)]
    assert "tested" in outcomes
