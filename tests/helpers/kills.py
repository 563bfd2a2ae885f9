"""Ends commands with a signal at FACEFLOW_KILLS random moments, which FACEFLOW_KILLS_SEED reproduces."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.helpers.commands import start_command

KILLS = int(os.environ.get("FACEFLOW_KILLS", "1"))  # moments per command and signal
SEED = int(os.environ.get("FACEFLOW_KILLS_SEED", random.SystemRandom().randrange(2**32)))
TERMINATED = 143
# Only in scripts/release_check; CI runs the others as a sample.
release_only = pytest.mark.skipif("FACEFLOW_KILLS" not in os.environ, reason="set FACEFLOW_KILLS for all kill tests")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative for an unhandled signal) and its output."""

    code: int
    stdout: str
    stderr: str

    @property
    def finished(self) -> bool:
        return self.code == 0

    @property
    def line(self) -> str:
        return self.stderr.splitlines()[-1] if self.stderr else ""


class Kills:
    """Starts one command repeatedly and ends it at random moments, half of the time by SIGTERM, half by SIGKILL."""

    def __init__(self, command: str, name: str | None = None) -> None:
        self.command, self.name = command, name or command
        self.random = random.Random(f"{SEED} {self.name}")
        self.signals = [signal.SIGTERM, signal.SIGKILL] * KILLS
        self.random.shuffle(self.signals)
        self.seconds = 0.0
        self.ends: Counter[str] = Counter()

    def finish(self, *arguments: str) -> Ended:
        """Run the command to its end; later moments are drawn from its duration."""
        began = time.monotonic()
        process = start_command(self.command, *arguments)
        ended = Ended(0, *process.communicate(timeout=300))
        assert process.returncode == 0, ended.stderr
        self.seconds = max(self.seconds, time.monotonic() - began)
        return ended

    def end(self, number: signal.Signals, *arguments: str) -> Ended:
        """Start the command, signal it after a while, and check what must hold for every command."""
        moment = self.random.uniform(0, self.seconds)
        process, sent = start_command(self.command, *arguments), False
        try:
            output = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            sent = True
            output = process.communicate(timeout=60)  # also waits for its children, which hold the same pipes
        ended = Ended(process.returncode, *output)
        story = f"{number.name} after {moment:.2f} s, FACEFLOW_KILLS_SEED={SEED}: {ended}"
        assert ended.code in (0, -number, TERMINATED if number == signal.SIGTERM else 0), story
        assert "Traceback" not in ended.stderr, story
        if ended.code == TERMINATED:
            assert ended.line.startswith("Terminated: "), story
        assert _is_gone(process.pid), f"processes are left, {story}"
        self.ends[f"{number.name} {ended.code}" if sent else "finished before"] += 1
        return ended

    def told(self) -> None:
        """Report exit codes by signal."""
        sys.stdout.write(f"\n{self.name}: {dict(sorted(self.ends.items()))}, FACEFLOW_KILLS_SEED={SEED}\n")


def _is_gone(group: int) -> bool:
    """Whether a process group ends soon; loader processes look for their parent every 5 s."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
