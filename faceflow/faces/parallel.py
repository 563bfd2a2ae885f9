"""Several workers at once, and results in order."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import TypeVar

from faceflow.faces.prefetch import prefetch

Item = TypeVar("Item")
Worker = TypeVar("Worker")
Result = TypeVar("Result")


def map_in_order(
    work: Callable[[Worker, Item], Result],
    workers: Sequence[Worker],
    items: Iterable[Item],
    *,
    weigh: Callable[[Item], int] | None = None,
) -> Generator[Result, None, None]:
    """Yield `work(worker, item)` of all items, in their order and as soon as it is there.

    Every worker does one item at a time, in a thread. Twice as many items as there are workers are read ahead, fewer
    where they are large: see `weigh` of `prefetch`. An error is raised where its result would have come.
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
