"""Resident memory of this process and its loader workers."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

# Pages that workers share with the main process count once in Pss, and a page that a worker comes to own adds to
# it: only so does it show when reference counts slowly unshare what was forked.
_SOURCES = (("smaps_rollup", "Pss:"), ("status", "VmRSS:"))


def resident_mib() -> float:
    """MiB of the process tree; NaN where there is no /proc."""
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    return sum(map(_process_mib, [os.getpid(), *workers]))


def _process_mib(pid: int) -> float:
    for name, key in _SOURCES:
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text("ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    return float("nan")
