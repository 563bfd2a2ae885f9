"""Batches from loader processes, compared with batches loaded in this process."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from faceflow.data.batches import Packed, pack
from faceflow.data.handing import Loader, Places


class Rows(Dataset[Any]):
    """Images and numbers that a row's own generator draws; from row 10 on, images are larger."""

    def __len__(self) -> int:
        return 14

    def __getitems__(self, rows: Sequence[int]) -> Packed:
        generators = [np.random.default_rng(row) for row in rows]
        side = 9 if max(rows) >= 10 else 5
        return pack(
            {
                "eval": [each.integers(0, 256, (side, side, 3), dtype=np.uint8) for each in generators],
                "target": [each.random((3, 1), dtype=np.float32) for each in generators],
                "index": np.array(rows),
            }
        )


class Alike(Rows):
    def __len__(self) -> int:
        return 10


def alone(rows: Sequence[int]) -> dict[str, torch.Tensor]:
    return Rows().__getitems__(rows).unpacked()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_loader_process_gives_what_this_one_gives(workers: int) -> None:
    loader = Loader(Alike(), batch_size=3, num_workers=workers, persistent_workers=workers > 0)
    for _ in range(3):
        batches = list(loader)  # all are held while later ones take their places
        assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
        for batch in batches:
            for name, expected in alone(batch["index"].tolist()).items():
                assert torch.equal(batch[name], expected)


@pytest.mark.slow
def test_a_spawned_loader_process_gives_what_this_one_gives() -> None:
    loader = Loader(Alike(), batch_size=3, num_workers=2, multiprocessing_context="spawn")
    for batch in loader:
        assert torch.equal(batch["eval"], alone(batch["index"].tolist())["eval"])


def test_a_batch_without_room_is_handed_over_all_the_same() -> None:
    for batch in Loader(Rows(), batch_size=5, num_workers=1):
        assert torch.equal(batch["eval"], alone(batch["index"].tolist())["eval"])


def test_the_shared_memory_has_room_for_every_batch_that_is_prepared_and_one_more() -> None:
    size = 3 * (5 * 5 * 3) + 7 + 3 * 12 + 4 + 3 * 8  # parts begin at multiples of 8
    assert Loader(Alike(), batch_size=3, num_workers=2, prefetch_factor=3).shared_bytes == 2 * 4 * (size + 8)
    assert Loader(Alike(), batch_size=10, num_workers=1).shared_bytes == 2 * (10 * 75 + 2 + 10 * 12 + 10 * 8 + 8)
    assert Loader(Alike(), batch_size=3).shared_bytes == 0


def test_a_batch_that_was_overwritten_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceflow.data.handing.get_worker_info", lambda: SimpleNamespace(id=0))
    places = Places(1, count=2, size=1000)
    handed: list[Any] = [places.fill(Rows().__getitems__([row])) for row in range(3)]
    with pytest.raises(RuntimeError, match="batch 1 of loader process 0 was overwritten"):
        handed[0].take()
    for row in (1, 2):
        assert torch.equal(handed[row].take().unpacked()["eval"], alone([row])["eval"])
