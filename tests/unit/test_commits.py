"""Commit subjects: what is accepted, and what is refused with its reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_commits.py"


def check(tmp_path: Path, message: str) -> tuple[int, str]:
    (tmp_path / "message").write_text(message, "utf-8")
    command = [sys.executable, str(SCRIPT), str(tmp_path / "message")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "subject", ["Add a table of groups", "Pass seeds on", "Need no GPU", "F" * 60, "Embed faces", "Address typos"]
)
def test_an_imperative_subject_passes(subject: str, tmp_path: Path) -> None:
    assert check(tmp_path, f"{subject}\n\nAdded reasons, of any length: {'x' * 100}.\n") == (0, "")


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("F" * 61, "expected at most 60 characters, got 61"),
        ("Add a table.", "expected no full stop at the end"),
        ("add a table", "expected a capital letter first"),
        ("2 tables more", "expected a capital letter first"),
        ("Added a table", "expected the imperative, such as Fix or Add, got 'Added'"),
        ("Adding a table", "got 'Adding'"),
        ("Adds a table", "got 'Adds'"),
        ("", "expected a capital letter first"),
    ],
)
def test_another_subject_is_refused_with_its_reason(subject: str, reason: str, tmp_path: Path) -> None:
    code, out = check(tmp_path, f"{subject}\n")
    assert code == 2
    assert reason in out
    assert len(out.splitlines()) == 1


def test_commits_since_the_rule_keep_it() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
