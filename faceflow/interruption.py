"""How a user, a scheduler or a container ends a command: Ctrl-C and SIGTERM, and the message about it.

Slurm, `docker stop` and Kubernetes send SIGTERM to ask a process to end before they kill it.
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

_TOGETHER_S = 1.0  # signals within it are one request: `timeout` sends SIGTERM to a process, then to its group
_SOON_S = 0.01
_GRACE_S = 0.5  # between the signals to the processes of a group


class Terminated(KeyboardInterrupt):
    """SIGTERM. It ends a command as cleanly as Ctrl-C does; only the exit code differs."""


class StopEvent(threading.Event):
    """Set by the first request to stop; `terminated` tells SIGTERM from Ctrl-C."""

    terminated = False

    def raise_if_set(self) -> None:
        """Stop here if a request has come; call it when everything is in a consistent state."""
        if self.is_set():
            raise Terminated if self.terminated else KeyboardInterrupt


class _Requests:
    """Requests to this process so far; signals reach only the main thread."""

    process = 0
    latest: float | None = None  # time of SIGTERM
    interrupted = False  # by Ctrl-C
    waiting: StopEvent | None = None  # set instead of raising, while something must be finished first


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM raise `Terminated` in the main thread.

    Without a handler the process would die at once; as PID 1 of a container it would not even notice. After SIGTERM or
    Ctrl-C, exceptions that Python cannot raise, as in destructors, are not printed.
    """
    _Requests.process, _Requests.latest, _Requests.interrupted = os.getpid(), None, False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = signal.signal(signal.SIGTERM, on_sigterm), sys.unraisablehook
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:  # else somebody handles or ignores it, as a shell's background does
        signal.signal(signal.SIGINT, on_interrupt)

    def ask_again(lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            _raise_soon(lost.exc_value)
        elif _Requests.latest is None and not _Requests.interrupted:  # then destructors of half-made objects may fail
            hook(lost)

    sys.unraisablehook = ask_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)
        _Requests.latest, _Requests.interrupted = (
            None,
            False,
        )  # what runs next in this process, as in a notebook, was not asked to end


def _raise_soon(lost: KeyboardInterrupt) -> None:
    """Raise an interrupt again that Python dropped because it came in a destructor or a garbage collector callback."""

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, before)
        raise type(lost)

    before = signal.signal(signal.SIGALRM, ask)
    signal.setitimer(signal.ITIMER_REAL, _SOON_S)  # not at once, while still in this hook


def on_interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C as Python does, and remember it."""
    _Requests.interrupted = True
    raise KeyboardInterrupt


def on_sigterm(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM: the first one raises, or sets the event of `finish_first`; a later one raises at once."""
    if os.getpid() != _Requests.process:  # a child that was just forked and has not set its own handler yet
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
    """Yield an event that the first SIGTERM sets, so that current work can be finished; the next one raises."""
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
                on_interrupt(number, frame)
            stop.set()

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def kept(tell: Callable[[], str]) -> Iterator[None]:
    """Add to an interrupt of this block what is kept and how to resume, unless a note was added further inside.

    An error after SIGTERM is taken as its consequence, such as a worker that was also terminated, and becomes
    `Terminated`.
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
    """Line for the user; empty if another process of the run prints it."""
    name = "Terminated" if isinstance(stop, Terminated) else "Interrupted"
    notes: list[str] = getattr(stop, "__notes__", ["rerun the same command"])
    return f"{name}: {notes[0]}" if notes[0] else ""


def await_sigterm() -> None:
    """Wait briefly: a signal to all processes of a run may end a child before it reaches this process.

    Raises:
        Terminated: SIGTERM has come.
    """
    time.sleep(_GRACE_S)
    if _Requests.latest is not None:
        raise Terminated
