"""Items made ahead in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from faceflow.faces.prefetch import prefetch


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("depth", [1, 4])
def test_everything_comes_in_order(depth: int) -> None:
    assert list(prefetch(iter(range(100)), depth)) == list(range(100))
    assert list(prefetch([], depth)) == []
    assert "prefetch" not in names_of_threads()


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for n in range(50):
            made.append(n)
            if n == 4:
                enough.set()
            yield n

    ahead = prefetch(items(), 3)
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
