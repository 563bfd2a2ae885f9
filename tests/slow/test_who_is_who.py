"""Nobody is in two roles, whatever files and ids are called: a thousand random collections of faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.roles import play

pytestmark = pytest.mark.slow


def test_no_subject_is_in_two_roles_in_a_thousand_cases(tmp_path: Path) -> None:
    outcomes = [play(tmp_path / str(case), seed=1000 + case) for case in range(1000)]
    assert outcomes.count("tested") > 300, "most cases must get as far as a test of the checkpoint"
