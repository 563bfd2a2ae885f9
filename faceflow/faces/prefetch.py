"""Work ahead in a thread: the next frame is decoded while the current one is searched for faces."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from faceflow.faces.video import Frame

T = TypeVar("T")
MOST_BYTES = 1 << 28  # of waiting images: a frame of 4K video has 25 MB, a photograph of a phone up to 600 MB
_END = object()


def frame_bytes(frame: Frame) -> int:
    """Bytes of a frame's pixels."""
    return 0 if frame.image is None else frame.image.nbytes


def prefetch(items: Iterable[T], depth: int, *, weigh: Callable[[T], int] | None = None) -> Generator[T, None, None]:
    """Yield `items` in order, with up to `depth` of them prepared in a thread.

    An error of `items` is raised in place of its item. Closing this generator early stops the thread, which closes
    `items`.

    Args:
        items: iterated in the thread.
        depth: largest number of waiting items.
        weigh: bytes of an item. No new item is begun while the waiting ones have `MOST_BYTES` or more.
    """
    ready: queue.Queue[tuple[object, int]] = queue.Queue(maxsize=depth)
    stopped, taken = threading.Event(), threading.Condition()
    waiting = 0  # bytes

    def put(item: object, weight: int = 0) -> bool:
        nonlocal waiting
        with taken:
            waiting += weight
        while not stopped.is_set():
            try:
                ready.put((item, weight), timeout=0.1)
            except queue.Full:
                continue
            with taken:
                taken.wait_for(lambda: waiting < MOST_BYTES or stopped.is_set())
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put(item, weigh(item) if weigh else 0):
                    return
                del item  # it may be large, and the next one is prepared now
            put(_END)
        except BaseException as error:
            put(_Failure(error))
        finally:
            if isinstance(items, Generator):
                items.close()

    def take() -> Any:
        nonlocal waiting
        item, weight = ready.get()
        with taken:
            waiting -= weight
            taken.notify_all()
        return item

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := take()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
            del item  # while the next one is awaited
    finally:
        stopped.set()
        with taken:
            taken.notify_all()
        thread.join()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error
