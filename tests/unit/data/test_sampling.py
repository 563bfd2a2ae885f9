from __future__ import annotations

from collections import Counter

import pytest

from faceflow.data.sampling import Draw, EpochSampler


def epoch(number: int, rows: int = 50, *, shuffle: bool = True, seed: int = 0) -> list[Draw]:
    sampler = EpochSampler(rows, shuffle=shuffle, seed=seed)
    sampler.set_epoch(number)
    return list(sampler)


def shares(rows: int, processes: int, *, shuffle: bool = True, number: int = 0) -> list[list[Draw]]:
    samplers = [EpochSampler(rows, shuffle=shuffle, seed=0, rank=r, world_size=processes) for r in range(processes)]
    for sampler in samplers:
        sampler.set_epoch(number)
    assert len({len(sampler) for sampler in samplers}) == 1
    assert all(len(list(sampler)) == len(sampler) for sampler in samplers)
    return [list(sampler) for sampler in samplers]


def test_an_epoch_draws_every_row_once() -> None:
    assert sorted(row for row, _ in epoch(3)) == list(range(50))


def test_the_same_epoch_draws_the_same() -> None:
    assert epoch(3) == epoch(3)


def test_an_epoch_does_not_depend_on_the_epochs_before_it() -> None:
    sampler = EpochSampler(50, shuffle=True, seed=0)
    seen = []
    for number in range(4):
        sampler.set_epoch(number)
        seen.append(list(sampler))
    assert seen[3] == epoch(3)


def test_another_epoch_differs_in_order_and_in_augmentation() -> None:
    first, second = epoch(0), epoch(1)
    assert [row for row, _ in first] != [row for row, _ in second]
    assert not any(dict(first)[row] == dict(second)[row] for row in range(50))


def test_another_seed_differs() -> None:
    assert epoch(0, seed=0) != epoch(0, seed=1)
    assert epoch(0, seed=1) != epoch(1, seed=0)


def test_rows_of_an_epoch_have_seeds_of_their_own() -> None:
    seeds = [seed for _, seed in epoch(0, rows=1000)]
    assert len(set(seeds)) == 1000
    assert min(seeds) >= 0


def test_without_shuffling_rows_come_in_order_and_the_same_in_every_epoch() -> None:
    assert [row for row, _ in epoch(0, shuffle=False)] == list(range(50))
    assert epoch(0, shuffle=False) == epoch(7, shuffle=False)


def test_the_first_epoch_is_drawn_unless_told_otherwise() -> None:
    assert list(EpochSampler(50, shuffle=True, seed=0)) == epoch(0)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "processes"), [(12, 3), (13, 3), (14, 3), (1, 4), (7, 8), (2, 5), (5, 1)])
def test_processes_share_all_rows_in_equal_parts(rows: int, processes: int, shuffle: bool) -> None:
    dealt = shares(rows, processes, shuffle=shuffle)
    assert len(dealt[0]) == -(-rows // processes)
    drawn = Counter(row for share in dealt for row, _ in share)
    assert set(drawn) == set(range(rows))
    # Only the padding repeats rows.
    assert drawn.total() - rows == len(dealt[0]) * processes - rows
    assert drawn.total() < rows + processes


def test_processes_draw_one_epoch_together() -> None:
    dealt = shares(12, 3, number=5)
    together = [draw for step in zip(*dealt, strict=True) for draw in step]
    assert together == epoch(5, rows=12)


def test_a_row_has_one_seed_whoever_draws_it() -> None:
    dealt = shares(13, 3)
    seeds = dict(epoch(0, rows=13))
    assert all(seeds[row] == seed for share in dealt for row, seed in share)


def test_epochs_of_other_lengths_see_all_rows_equally_often() -> None:
    sampler = EpochSampler(5, shuffle=True, seed=(0, 1), draws=12)
    seen: list[Draw] = []
    for number in range(5):
        sampler.set_epoch(number)
        assert len(list(sampler)) == len(sampler) == 12
        seen += sampler
    assert Counter(row for row, _ in seen) == dict.fromkeys(range(5), 12)
    assert len({seed for _, seed in seen}) == 60  # another augmentation every time
    sampler.set_epoch(3)
    assert list(sampler) == seen[36:48]


def test_processes_share_the_draws_of_an_epoch() -> None:
    whole = list(EpochSampler(5, shuffle=True, seed=0, draws=8))
    parts = [list(EpochSampler(5, shuffle=True, seed=0, draws=8, rank=rank, world_size=2)) for rank in range(2)]
    assert [draw for pair in zip(*parts, strict=True) for draw in pair] == whole


def test_streams_of_one_seed_differ() -> None:
    labeled, unlabeled = (list(EpochSampler(50, shuffle=True, seed=seed)) for seed in ((0,), (0, 1)))
    assert labeled == epoch(0)
    assert [row for row, _ in labeled] != [row for row, _ in unlabeled]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_without_padding_processes_make_the_steps_of_one_process(processes: int) -> None:
    batch = 12 // processes
    samplers = [
        EpochSampler(47, shuffle=True, seed=0, rank=rank, world_size=processes, pad=False) for rank in range(processes)
    ]
    assert {len(sampler) // batch for sampler in samplers} == {3}  # 47 // 12; padded to 48 it would be 4
    together = [draw for step in zip(*samplers, strict=True) for draw in step]
    assert together == epoch(0, rows=47)[: len(together)]
