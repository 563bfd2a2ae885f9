"""Nobody is in two roles, whatever files and ids are called: random collections of faces, FACEFLOW_CASES of them."""

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
