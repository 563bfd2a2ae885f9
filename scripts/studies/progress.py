"""Progress of a study."""

from __future__ import annotations

import sys
import threading


class Progress:
    """Counts runs, and reports the remaining runs and time after each; thread-safe.

    Args:
        total: number of runs in the study.
        jobs: number of parallel runs.
    """

    def __init__(self, *, total: int, jobs: int) -> None:
        self.total, self.jobs = total, jobs
        self._done, self._seconds = 0, list[float]()
        self._lock = threading.Lock()

    def finished(self, run: str, seconds: float | None) -> None:
        """Count a finished run with its duration; None if it had finished before."""
        with self._lock:
            self._done += 1
            if seconds is not None:
                self._seconds.append(seconds)
                say(f"{run}: {seconds:.0f} s; {self}")

    def __str__(self) -> str:
        left = self.total - self._done
        minutes = left * sum(self._seconds) / max(1, len(self._seconds)) / self.jobs / 60
        expected = f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
        return f"{self._done} of {self.total} runs done, {left} left" + (f", about {expected}" if left else "")


def say(text: str) -> None:
    """Print progress to stderr; results go to standard output."""
    print(text, file=sys.stderr, flush=True)
