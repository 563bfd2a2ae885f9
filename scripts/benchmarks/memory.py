"""Memory of this process and its loader workers."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

# In Pss, pages that workers share with the main process count once, and a page that a worker copies adds to it. This
# shows when reference counts slowly unshare forked memory. Mapped files (libraries, images) are left out, because
# unrelated processes share them too.
_SOURCES = {"smaps_rollup": ("Pss_Anon:", "Pss_Shmem:"), "status": ("RssAnon:", "RssShmem:")}


def resident_mib() -> float:
    """MiB of the process tree in RAM, without mapped files; NaN without /proc."""
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    return sum(map(_process_mib, [os.getpid(), *workers]))


def _process_mib(pid: int) -> float:
    for name, keys in _SOURCES.items():
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text("ascii", errors="replace").splitlines()
        except OSError:
            continue
        if found := [int(line.split()[1]) for line in lines if line.startswith(keys)]:
            return sum(found) / 1024
    return float("nan")
