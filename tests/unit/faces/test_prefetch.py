"""Items prepared ahead in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from faceflow.faces.prefetch import MOST_BYTES, prefetch


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("depth", [1, 4])
def test_everything_comes_in_order(depth: int) -> None:
    assert list(prefetch(iter(range(100)), depth)) == list(range(100))
    assert list(prefetch([], depth)) == []
    assert "prefetch" not in names_of_threads()


@pytest.mark.parametrize(
    "settings", [{}, {"weigh": lambda n: MOST_BYTES // 8}], ids=["items without weight", "small items"]
)
def test_as_many_as_the_depth_and_no_more_are_made_ahead(settings: dict[str, Any]) -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for n in range(50):
            made.append(n)
            if n == 4:
                enough.set()
            yield n

    ahead = prefetch(items(), 3, **settings)
    assert next(ahead) == 0
    assert enough.wait(5)  # one handed over, three waiting, one in the hand of the thread
    assert len(made) <= 5
    ahead.close()


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    ahead = prefetch(items(), 4)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(ahead)


def test_a_consumer_that_stops_early_ends_the_thread_and_what_it_reads() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    ahead = prefetch(items(), 2)
    assert next(ahead) == 0
    ahead.close()
    assert closed.is_set()
    assert "prefetch" not in names_of_threads()


def test_no_item_is_begun_while_those_that_wait_are_large() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for n in range(6):
            made.append(n)
            yield n

    ahead = prefetch(items(), 4, weigh=lambda n: MOST_BYTES)
    found = []
    for n in ahead:
        found.append(n)
        assert len(made) <= n + 2, "the one that is handed over, and the one behind it"
    assert found == list(range(6))


def test_a_consumer_that_stops_ends_a_thread_that_waits_for_room() -> None:
    ahead = prefetch(iter(range(9)), 4, weigh=lambda n: 2 * MOST_BYTES)
    assert next(ahead) == 0
    ahead.close()
    assert "prefetch" not in names_of_threads()
