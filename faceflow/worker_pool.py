"""Processes that work through many files and report their progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import Any, TypeVar

from faceflow.errors import DataError
from faceflow.interruption import await_sigterm

T = TypeVar("T")

_POLL_S = 0.2


class _Process:
    """State of a worker process."""

    done: Synchronized[int]


def run_in_workers(
    task: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    *,
    workers: int,
    start: Callable[..., None],
    state: tuple[Any, ...],
    advance: Callable[[int], None],
    receive: Callable[[T], None] = lambda result: None,
) -> None:
    """Run a task with the arguments of each job, in any order.

    Args:
        task: a module-level function, so that a process can import it; calls `tell_done` as it progresses.
        jobs: arguments of each call.
        workers: processes.
        start: prepares a process; an error in it would look like a killed worker.
        state: arguments of `start`.
        advance: called several times a second with how much more is done.
        receive: called with the result of each task.

    Raises:
        DataError: a worker was killed.
        Terminated: the whole run was terminated.
    """
    context = multiprocessing.get_context("spawn")
    done = context.Value("Q", 0)
    told = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(done, start, state))
    try:
        running = {pool.submit(task, *job) for job in jobs}
        while running:
            finished, running = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            count = int(done.get_obj().value)  # a killed worker may hold the lock forever
            advance(count - told)
            told = count
            for future in finished:
                receive(future.result())
        pool.shutdown()
    except BrokenProcessPool as error:
        await_sigterm()
        raise DataError(
            f"workers: expected {workers} processes to keep running, got one that was killed, perhaps for lack of "
            "memory; finished work is kept: rerun the command, with fewer workers if this happens again"
        ) from error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


def tell_done(count: int) -> None:
    """Report, in a worker, how much more is done."""
    with _Process.done.get_lock():
        _Process.done.value += count


def _start(done: Synchronized[int], start: Callable[..., None], state: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends workers without a traceback; the parent reports
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Process.done = done
    start(*state)


def _end_with_parent() -> None:
    """End this process when its parent is gone, perhaps killed; otherwise it would work on and then wait forever.

    Unlike in `sweep.job`, pools of the standard library give a handle to wait for, which also works on Windows.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
