"""Check the subjects of new commits: imperative, at most 60 characters, no full stop; see `CONTRIBUTING.md`.

`python scripts/check_commits.py` checks the commits of this branch since the rule was introduced;
`python scripts/check_commits.py FILE` checks a message before it is committed (a commit-msg hook).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LONGEST = 60
SINCE = "2026-11-30T09:00:00Z"  # earlier subjects are not checked
# Imperatives that end like a past tense, a gerund or a third person.
_FINE = {"embed", "feed", "need", "seed", "speed", "shed", "exceed", "proceed", "succeed", "bring", "string", "ping",
         "pass", "address", "focus", "process", "discuss", "compress", "express", "suppress", "guess", "miss", "press",
         "stress", "access", "bias", "cross", "dress", "canvas"}  # fmt: skip


def fault(subject: str) -> str:
    """The fault of a subject, or an empty string."""
    if len(subject) > LONGEST:
        return f"expected at most {LONGEST} characters, got {len(subject)}"
    if subject.endswith("."):
        return "expected no full stop at the end"
    word = re.match(r"[A-Za-z]+", subject)
    if word is None or not subject[0].isupper():
        return "expected a capital letter first"
    first = word[0].lower()
    if first not in _FINE and re.search(r"(ed|ing|s)$", first):
        return f"expected the imperative, such as Fix or Add, got '{word[0]}'"
    return ""


def new_subjects() -> list[str]:
    """Subjects of the commits since the rule was introduced, without merges; empty outside a repository."""
    command = ["git", "log", "--no-merges", f"--since={SINCE}", "--format=%s"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return found.stdout.splitlines() if found.returncode == 0 else []


def main() -> int:
    """Print a line for every subject that breaks the rule; the exit code is 2 if there is one."""
    given = [*Path(sys.argv[1]).read_text("utf-8").splitlines(), ""][:1] if len(sys.argv) > 1 else new_subjects()
    faults = [(subject, reason) for subject in given if (reason := fault(subject))]
    for subject, reason in faults:
        print(f"commit '{subject}': {reason}; reword it with git commit --amend or git rebase -i")
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
