"""Parallel workers whose results come in the order of their items."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from faceflow.faces.parallel import map_in_order
from faceflow.faces.prefetch import MOST_BYTES


def named_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")}


@pytest.mark.parametrize("count", [0, 1, 50])
@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_their_items(workers: int, count: int) -> None:
    found = list(map_in_order(lambda worker, item: (worker, item), range(workers), range(count)))
    assert [item for _, item in found] == list(range(count))
    assert {worker for worker, _ in found} <= set(range(workers))
    assert not named_threads()


def test_a_slow_item_holds_back_later_ones_and_not_their_work() -> None:
    second_done = threading.Event()

    def work(worker: str, item: int) -> int:
        if item == 0:
            assert second_done.wait(10), "item 1 waits for item 0"
        second_done.set()
        return item

    assert list(map_in_order(work, ["a", "b"], [0, 1])) == [0, 1]


def test_a_worker_does_one_item_at_a_time() -> None:
    inside = {"a": threading.Lock(), "b": threading.Lock()}

    def work(worker: str, item: int) -> bool:
        alone = inside[worker].acquire(blocking=False)
        threading.Event().wait(0.001)
        inside[worker].release()
        return alone

    assert all(map_in_order(work, list(inside), range(40)))


def test_an_error_of_a_worker_is_raised_where_its_result_would_have_come() -> None:
    def work(worker: str, item: int) -> float:
        return 1 / (item - 2)

    results = map_in_order(work, ["a", "b", "c"], range(10))
    assert [next(results), next(results)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not named_threads()


def test_an_error_of_the_items_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("second")

    results = map_in_order(lambda _, item: item, ["a", "b"], items())
    assert next(results) == 1
    with pytest.raises(KeyError, match="second"):
        next(results)
    assert not named_threads()


def test_closed_early_it_ends_its_threads_and_its_items() -> None:
    closed = threading.Event()
    read: list[int] = []

    def items() -> Iterator[int]:
        try:
            for item in range(10**9):
                read.append(item)
                yield item
        finally:
            closed.set()

    results = map_in_order(lambda _, item: item, ["a", "b"], items())
    assert next(results) == 0
    results.close()
    assert not named_threads()
    assert len(read) < 20
    assert closed.wait(5)


def test_large_items_are_not_read_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(12):
            read.append(item)
            yield item

    for item in map_in_order(lambda _, item: item, ["a", "b", "c"], items(), weigh=lambda item: MOST_BYTES):
        assert len(read) <= item + 2
    assert len(read) == 12
