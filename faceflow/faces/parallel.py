"""Several detectors or other workers in parallel, with results in order."""

from __future__ import annotations

import contextlib
import copy
import os
import queue
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import TypeVar

from faceflow.faces.detector import FaceDetector
from faceflow.faces.prefetch import prefetch

Item = TypeVar("Item")
Worker = TypeVar("Worker")
Result = TypeVar("Result")

_MOST = 4  # detectors that are opened by default: each takes 50 MB


class Detectors:
    """Copies of a detector, open until `close`, to search several frames at once.

    Args:
        detector: not yet open.
        count: copies; 0 for one per core, at most 4.
        processes: number of processes that share the cores.
        features: whether features are wanted; they take time.
    """

    def __init__(self, detector: FaceDetector, count: int, *, processes: int = 1, features: bool = True) -> None:
        copies = [copy.deepcopy(detector) for _ in range(count or max(1, min(cores() // processes, _MOST)))]
        with contextlib.ExitStack() as stack:
            for each in copies:
                each.features = each.features and features
            self.open = [stack.enter_context(each) for each in copies]
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close all copies."""
        self._stack.close()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    work: Callable[[Worker, Item], Result],
    workers: Sequence[Worker],
    items: Iterable[Item],
    *,
    weigh: Callable[[Item], int] | None = None,
) -> Generator[Result, None, None]:
    """Yield `work(worker, item)` for all items, in order and as soon as each is ready.

    Every worker does one item at a time, in a thread. Twice as many items as workers are read ahead, fewer if they are
    large: see `weigh` of `prefetch`. An error is raised in place of its result.
    """
    free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def do(item: Item) -> Result:
        worker = free.get()
        try:
            return work(worker, item)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers), thread_name_prefix="prefetch") as pool:
        begun = ((pool.submit(do, item), weigh(item) if weigh else 0) for item in items)
        with contextlib.closing(prefetch(begun, len(workers), weigh=itemgetter(1))) as waiting:
            for future, _ in waiting:
                yield future.result()
