"""Loader processes: shared memory for their batches, and messages if one dies."""

from __future__ import annotations

import math
import re
import shutil
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from faceflow.data.handing import Loader
from faceflow.errors import ConfigError
from faceflow.interruption import await_sigterm

SHARED = Path("/dev/shm")

_MIB = 2**20

_KILLED = re.compile(r"DataLoader worker \(pid (?P<pid>\d+)\) is killed by signal: (?P<signal>[^.]+)\.")
_EXITED = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) exited unexpectedly")
_CUT_OFF = "DataLoader worker (pid 0) exited unexpectedly"  # as torch would report it
_TIMEOUT = re.compile(r"DataLoader timed out after (?P<seconds>\S+) seconds")
_SHARED_FULL = re.compile(r"unable to (?:allocate|open|resize|mmap|write).*(?:shm|shared memory|torch_)", re.IGNORECASE)


def check_shared_memory(loaders: Iterable[Loader], *, processes: int = 1) -> None:
    """Check that the batches of loader processes fit in shared memory; Docker and Kubernetes provide 64 MB.

    When it is full, torch would hang or die with a bus error.

    Args:
        loaders: of a run.
        processes: training processes on this machine, each with the same loaders.

    Raises:
        ConfigError: there is too little.
    """
    if sys.platform != "linux" or not SHARED.is_dir():
        return
    needed = processes * sum(loader.shared_bytes for loader in loaders)
    free = shutil.disk_usage(SHARED).free
    if needed > free:
        advised = math.ceil(needed * 1.25 / _MIB)  # other programs use some
        raise ConfigError(
            f"loader.workers: expected {math.ceil(needed / _MIB)} MiB free in {SHARED} for the batches of loader "
            f"processes, got {_mib(free)}; give the container more (docker run --shm-size={advised}m), set a smaller "
            "loader.batch_size or fewer loader.workers, or set loader.workers=0, which needs none"
        )


def explain_loss(error: BaseException, workers: int) -> str | None:
    """Explain in one line how a loader process was lost, and the likely cause; None for other errors.

    Raises:
        Terminated: the whole run was terminated.
    """
    text = _text_of_torch(error)
    if text is None:
        return None
    await_sigterm()
    memory = (
        "most likely it ran out of memory: set fewer loader.workers or a smaller loader.batch_size, or give the job "
        "more memory"
    )
    expected = f"loader.workers: expected {workers} loader processes to keep running"
    if killed := _KILLED.search(text):
        how = f"{expected}, got one that was killed (pid {killed['pid']}, signal '{killed['signal'].strip()}')"
        if killed["signal"].startswith("Bus"):
            return (
                f"{how}; most likely shared memory was full ({_mib(shutil.disk_usage(SHARED).free)} free in {SHARED}): "
                "start the container with a larger --shm-size, or set loader.workers=0"
            )
        if killed["signal"].startswith(("Killed", "Terminated")):
            return f"{how}; {memory}"
        return f"{how}; an image may have crashed its decoder: loader.workers=0 shows where"
    if _EXITED.search(text):
        return f"{expected}, got one that died; {memory}"
    if timeout := _TIMEOUT.search(text):
        return (
            f"loader.timeout_s: expected a batch within {timeout['seconds']} s, got none; the disk with the images may "
            f"hang, or memory may be full{_shared_now()}: check both, or raise loader.timeout_s (0: wait forever)"
        )
    return f"loader.workers: expected room in shared memory for a batch, got none{_shared_now()}; set loader.workers=0"


def print_unless_cut_off(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Excepthook of a loader process: silent if the connection broke because the training has ended.

    Loading errors reach the training process in another way.
    """
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _text_of_torch(error: BaseException) -> str | None:
    """Most specific message of torch about its loader processes, in an error or one of its causes."""
    texts = []
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, RuntimeError):
            texts.append(" ".join(str(link).split()))
        elif isinstance(link, ConnectionError | EOFError | FileNotFoundError) and _while_fetching(link):
            texts.append(_CUT_OFF)
        link = link.__cause__ or link.__context__
    patterns = (_KILLED, _EXITED, _TIMEOUT, _SHARED_FULL)
    return next((text for pattern in patterns for text in texts if pattern.search(text)), None)


def _while_fetching(error: BaseException) -> bool:
    """Whether an error broke the connection to a process that was handing over a batch."""
    return any(frame.f_code.co_name == "_try_get_data" for frame, _ in traceback.walk_tb(error.__traceback__))


def _shared_now() -> str:
    return f" ({_mib(shutil.disk_usage(SHARED).free)} free in {SHARED})" if SHARED.is_dir() else ""


def _mib(size: int) -> str:
    return f"{size // _MIB} MiB"
