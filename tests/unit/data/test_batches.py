"""Packed batches, against tensors that were stacked one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from faceflow.data.batches import Loader, collate


def item(number: int) -> dict[str, Tensor]:
    """Odd sizes, so that types that follow one another need their places aligned."""
    generator = torch.Generator().manual_seed(number)
    image = torch.randint(0, 256, (5, 5, 3), generator=generator, dtype=torch.uint8)
    return {
        "mask": torch.tensor([number % 2 == 0, True, False]),
        "eval": image.permute(2, 0, 1),
        "target": torch.rand(3, 1, generator=generator),
        "index": torch.tensor(number),
        "features": torch.rand(7, generator=generator),
    }


class Items(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 7

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return item(row)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_holds_what_its_items_hold(rows: int) -> None:
    items = [item(row) for row in range(rows)]
    batch = collate(items).unpacked()
    assert list(batch) == list(items[0])
    for key, value in batch.items():
        assert torch.equal(value, torch.stack([one[key] for one in items]))
        assert value.dtype == items[0][key].dtype


def test_images_lie_channels_last() -> None:
    images = collate([item(0), item(1)]).unpacked()["eval"]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_all_tensors_share_one_piece_of_memory() -> None:
    packed = collate([item(0), item(1)])
    start, end = packed.memory.data_ptr(), packed.memory.data_ptr() + packed.memory.nbytes
    assert all(start <= tensor.data_ptr() < end for tensor in packed.unpacked().values())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_process_gives_what_this_one_gives(workers: int) -> None:
    loader = Loader(Items(), batch_size=3, collate_fn=collate, num_workers=workers)
    batches = list(loader)
    assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    for key in ("mask", "eval", "target", "features"):
        assert torch.equal(torch.cat([batch[key] for batch in batches]), torch.stack([item(n)[key] for n in range(7)]))
