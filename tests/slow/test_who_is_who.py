"""No subject is in two roles, whatever the names of files and ids, in FACEFLOW_CASES random collections of faces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.roles import play

CASES = int(os.environ.get("FACEFLOW_CASES", "100"))  # 1000 in scripts/release_check

pytestmark = pytest.mark.slow


def test_no_subject_is_in_two_roles(tmp_path: Path) -> None:
    outcomes = [play(tmp_path / str(case), seed=1000 + case) for case in range(CASES)]
    assert outcomes.count("tested") > CASES // 3, "many cases must get as far as a test of the checkpoint"
