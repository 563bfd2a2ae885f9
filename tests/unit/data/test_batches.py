"""Packed batches, compared with tensors stacked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceflow.data.batches import pack


def item(number: int) -> dict[str, NDArray[Any]]:
    """Odd sizes, so that types that follow one another need their places aligned."""
    generator = np.random.default_rng(number)
    return {
        "mask": np.array([number % 2 == 0, True, False]),
        "eval": generator.integers(0, 256, (5, 5, 3), dtype=np.uint8),
        "target": generator.random((3, 1), dtype=np.float32),
        "index": np.array(number),
        "features": generator.random(7, dtype=np.float32),
    }


def columns(rows: Sequence[int]) -> dict[str, list[NDArray[Any]]]:
    return {name: [item(row)[name] for row in rows] for name in item(0)}


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_holds_what_its_items_hold(rows: int) -> None:
    batch = pack(columns(range(rows))).unpacked()
    assert list(batch) == list(item(0))
    for name, value in batch.items():
        expected = np.stack([item(row)[name] for row in range(rows)])
        found = value.permute(0, 2, 3, 1) if name == "eval" else value
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.numpy().dtype == expected.dtype


def test_a_column_can_be_one_array() -> None:
    batch = pack({"index": np.arange(3), "mask": np.eye(3, dtype=np.bool_)}).unpacked()
    assert batch["index"].tolist() == [0, 1, 2]
    assert torch.equal(batch["mask"], torch.eye(3, dtype=torch.bool))


def test_images_lie_channels_last() -> None:
    images = pack(columns([0, 1])).unpacked()["eval"]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_all_tensors_share_one_piece_of_memory() -> None:
    packed = pack(columns([0, 1]))
    start, end = packed.memory.data_ptr(), packed.memory.data_ptr() + packed.memory.nbytes
    assert all(start <= tensor.data_ptr() < end for tensor in packed.unpacked().values())
