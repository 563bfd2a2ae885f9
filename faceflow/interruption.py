"""How a user, a scheduler or a container ends a command: Ctrl-C and SIGTERM, and what is said about it.

SIGTERM is how Slurm, `docker stop` and Kubernetes ask a process to end, before they kill it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_TOGETHER_S = 1.0  # signals of one request: `timeout`, for one, sends SIGTERM to a process and then to its group
_SOON_S = 0.01
_GRACE_S = 0.5  # between the signals to the processes of a group


class Terminated(KeyboardInterrupt):
    """SIGTERM. Everything that Ctrl-C ends in order, this does too; only the exit code differs."""


class StopEvent(threading.Event):
    """Set by the first request to stop; `terminated` tells SIGTERM from Ctrl-C."""

    terminated = False

    def raise_if_set(self) -> None:
        """End here, once all is in order."""
        if self.is_set():
            raise Terminated if self.terminated else KeyboardInterrupt


class _Requests:
    """What this process was asked so far; signals reach the main thread alone."""

    process = 0
    latest: float | None = None
    waiting: StopEvent | None = None  # of who wants to finish something first


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM raise `Terminated` in the main thread.

    Without a handler the process would die at once; as PID 1 of a container it would not even notice.
    """
    _Requests.process, _Requests.latest = os.getpid(), None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = signal.signal(signal.SIGTERM, on_sigterm), sys.unraisablehook

    def ask_again(lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            _raise_soon(lost.exc_value)
        else:
            hook(lost)

    sys.unraisablehook = ask_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
        _Requests.latest = None  # what comes next in this process, in a notebook for one, was not asked to end


def _raise_soon(lost: KeyboardInterrupt) -> None:
    """Raise again what Python dropped, because it came in a destructor or in a callback of the garbage collector."""

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, before)
        raise type(lost)

    before = signal.signal(signal.SIGALRM, ask)
    signal.setitimer(signal.ITIMER_REAL, _SOON_S)  # not at once: that would be in here


def on_sigterm(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM: the first one stops, or tells who wants to finish something first; a later one stops at once."""
    if os.getpid() != _Requests.process:  # a child that was forked a moment ago, and set no handler of its own yet
        os._exit(128 + number)
    now, latest = time.monotonic(), _Requests.latest
    if latest is not None and now - latest < _TOGETHER_S:
        return
    _Requests.latest = now
    if _Requests.waiting is not None and not _Requests.waiting.is_set():
        _Requests.waiting.terminated = True
        _Requests.waiting.set()
        return
    raise Terminated


@contextlib.contextmanager
def finish_first() -> Iterator[StopEvent]:
    """Yield an event that the first SIGTERM sets, so that what is at work can be finished; the next one stops it."""
    before, _Requests.waiting = _Requests.waiting, StopEvent()
    try:
        yield _Requests.waiting
    finally:
        _Requests.waiting = before


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[StopEvent]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    with finish_first() as stop:

        def ask(number: int, frame: FrameType | None) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            stop.set()

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def kept(tell: Callable[[], str]) -> Iterator[None]:
    """Tell who stops this block what is kept and how to go on, unless something inside has told it better.

    An error after SIGTERM comes of it, a worker that was terminated as well for one: it becomes `Terminated`.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        if not stopped and _Requests.latest is None:
            raise
        stop = error if stopped else Terminated()
        if not getattr(stop, "__notes__", None):
            stop.add_note(tell())
        if stop is error:
            raise
        raise stop from error


def told(stop: KeyboardInterrupt) -> str:
    """Line for the user; empty where another process of the run says it."""
    name = "Terminated" if isinstance(stop, Terminated) else "Interrupted"
    notes: list[str] = getattr(stop, "__notes__", ["start the same command again"])
    return f"{name}: {notes[0]}" if notes[0] else ""


def await_sigterm() -> None:
    """Wait a moment: a signal to all processes of a run may end a child before it reaches this process.

    Raises:
        Terminated: it did.
    """
    time.sleep(_GRACE_S)
    if _Requests.latest is not None:
        raise Terminated
