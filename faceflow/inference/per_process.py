"""Objects with native threads, of which every process needs its own.

The threads of a library do not survive in the child of a fork: using, closing or destroying such an object there hangs
forever. The child leaves the parent's object alone and opens another when it needs one.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One object per process, opened when it is first needed.

    Args:
        close: closes what `get` opened.
    """

    def __init__(self, close: Callable[[T], object]) -> None:
        self._close = close
        self._opened: T | None = None
        self._lock = threading.Lock()
        _ALL.add(self)

    def get(self, open_one: Callable[[], T]) -> T:
        """The object of this process; the first call opens it."""
        with self._lock:
            if self._opened is None:
                self._opened = open_one()
            return self._opened

    def close(self) -> None:
        """Close the object, if this process has opened one."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            self._close(opened)

    def leave_to_parent(self) -> None:
        """Forget the object in the child of a fork, and keep Python from ever destroying it there."""
        self._lock = threading.Lock()  # a thread of the parent may hold the old one
        if self._opened is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened))
            self._opened = None


_ALL: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for item in list(_ALL):
        item.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_leave_all_to_parent)
