"""SIGTERM ends a command as Ctrl-C does, and the message says what is kept."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from faceflow.interruption import (
    StopEvent,
    Terminated,
    await_sigterm,
    finish_first,
    kept,
    stop_on_interrupt,
    terminable,
    told,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    with terminable():
        yield
    assert signal.getsignal(signal.SIGTERM) is before


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_sigterm_is_an_exception_and_one_that_follows_at_once_is_the_same_request() -> None:
    with pytest.raises(Terminated):
        terminate()
    terminate()  # as `timeout` sends it twice


class Dying:
    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_in_a_destructor_where_python_drops_exceptions_is_not_lost(
    number: signal.Signals, kind: type[KeyboardInterrupt], capfd: pytest.CaptureFixture[str]
) -> None:
    def lose() -> None:
        Dying(number)
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt) as raised:
        lose()
    assert raised.type is kind
    assert capfd.readouterr().err == ""


class Broken:
    def __del__(self) -> None:
        raise AttributeError("half made")


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_destructors_that_fail_are_reported_only_before_a_request_to_stop(
    number: signal.Signals, kind: type[KeyboardInterrupt], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    with terminable():
        Broken()
        assert [str(each.exc_value) for each in reported] == ["half made"]
        with pytest.raises(kind):
            signal.raise_signal(number)
        Broken()
        assert len(reported) == 1
    reported.clear()  # they refer to the object


def test_sigterm_waits_for_what_is_to_be_finished_first() -> None:
    with finish_first() as stop:
        terminate()
        assert stop.is_set()
        assert stop.terminated
    with pytest.raises(Terminated):
        stop.raise_if_set()


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_both_signals_stop_in_order(number: signal.Signals, kind: type[KeyboardInterrupt]) -> None:
    with stop_on_interrupt() as stop:
        stop.raise_if_set()
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt) as raised:
        stop.raise_if_set()
    assert raised.type is kind


def test_a_second_ctrl_c_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_forked_child_that_gets_sigterm_before_it_has_a_handler_ends_silently() -> None:
    child = os.fork()
    if child == 0:
        try:
            terminate()
        finally:
            os._exit(1)  # never reached
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143


def test_the_innermost_block_tells_what_is_kept() -> None:
    with (
        pytest.raises(Terminated) as raised,
        kept(lambda: "nothing"),
        kept(lambda: "one epoch"),
    ):
        terminate()
    assert told(raised.value) == "Terminated: one epoch"
    with pytest.raises(KeyboardInterrupt) as interrupted, kept(lambda: "one epoch"):
        raise KeyboardInterrupt
    assert told(interrupted.value) == "Interrupted: one epoch"
    assert told(KeyboardInterrupt()) == "Interrupted: rerun the same command"


def test_an_error_that_comes_of_sigterm_is_no_error_of_its_own() -> None:
    with pytest.raises(RuntimeError, match="before"), kept(lambda: "nothing"):
        raise RuntimeError("before")
    with pytest.raises(Terminated):
        terminate()
    for error in (RuntimeError("a worker was terminated too"), SystemExit(0)):
        with pytest.raises(Terminated) as raised, kept(lambda: "nothing"):
            raise error
        assert told(raised.value) == "Terminated: nothing"


def test_an_error_after_a_command_that_was_ended_is_its_own() -> None:
    with pytest.raises(Terminated), terminable():
        terminate()
    with pytest.raises(RuntimeError, match="later"), kept(lambda: "nothing"):
        raise RuntimeError("later")


def test_a_process_that_says_nothing_leaves_the_line_to_the_first_one() -> None:
    with pytest.raises(Terminated) as raised, kept(lambda: "again"), kept(lambda: ""):
        terminate()
    assert told(raised.value) == ""


def test_a_child_that_died_of_a_signal_to_the_group_is_seen_as_such() -> None:
    await_sigterm()  # no signal came: it died of something else
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(Terminated):
        await_sigterm()
    timer.join()


def test_an_unset_event_stops_nothing() -> None:
    StopEvent().raise_if_set()
