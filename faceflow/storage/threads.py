"""Waiting in parallel: results of an action for many items, by several threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

_TICK_S = 0.2


def each(
    items: Collection[str], action: Callable[[str], T], *, threads: int, tick: Callable[[], None] = lambda: None
) -> Iterator[T]:
    """Yield results as they come; the first error ends the rest. `tick` is called several times a second."""
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        waiting = iter(items)
        running: set[Future[T]] = set()
        while True:
            while len(running) < 2 * threads and (item := next(waiting, None)) is not None:
                running.add(pool.submit(action, item))
            if not running:
                return
            ended, running = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            for one in ended:
                yield one.result()
            tick()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
