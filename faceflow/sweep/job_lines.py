"""One line for every job of a running sweep; watches the records of jobs, so it works with every launcher."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import TextIO

from faceflow.errors import DataError
from faceflow.sweep.job import FAILED, RECORD, RUNNING, Job, read_job

_SECONDS = 0.5  # between two looks


class JobLines:
    """Prints a line when a job starts and when it ends.

    Args:
        folder: of the sweep.
        total: number of jobs.
        keys: keys in which jobs differ.
        stream: where lines are written.
    """

    def __init__(self, folder: Path, total: int, keys: Collection[str], stream: TextIO) -> None:
        self.folder, self.total, self.keys, self.stream = folder, total, keys, stream
        self._seen = {job.number: written for job, written in self._jobs()}  # a job that runs again writes anew
        self._before = set(self._seen)
        self.told = False  # whether any job started or ended
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Print the remaining lines and stop."""
        self._done.set()
        self._thread.join()
        self._tell()

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS):
            self._tell()

    def _tell(self) -> None:
        for job, written in self._jobs():
            if self._seen.get(job.number) != written:
                self._seen[job.number] = written
                self.told = True
                self.stream.write(f"{self._line(job)}\n")
                self.stream.flush()

    def _line(self, job: Job) -> str:
        head = f"[{job.number + 1}/{max(self.total, job.number + 1)}] {job.described(self.keys)}: "
        if job.status == RUNNING:
            return head + ("continuing" if job.number in self._before else "running")
        if job.status == FAILED:
            return head + f"failed, {job.error}"
        value = "" if job.value is None else f", {job.value:.4f}"
        return head + f"{job.status}{value}, {job.seconds:.0f} s"

    def _jobs(self) -> list[tuple[Job, int]]:
        """Records of the jobs, by number, and when each was written (ns)."""
        jobs = []
        for path in self.folder.glob(f"*/{RECORD}"):
            try:
                written, job = path.stat().st_mtime_ns, read_job(path.parent)
            except DataError:  # the summary reports it
                continue
            if job is not None:
                jobs.append((job, written))
        return sorted(jobs, key=lambda pair: pair[0].number)
