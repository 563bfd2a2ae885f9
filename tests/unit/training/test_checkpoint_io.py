from __future__ import annotations

from pathlib import Path

import pytest
import torch

from faceflow.errors import CheckpointError
from faceflow.training.checkpoint_io import AtomicCheckpointIO


def test_a_checkpoint_is_written_in_a_new_folder_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 3, "weight": torch.ones(2)}, path)
    found = torch.load(path, weights_only=True)
    assert found["epoch"] == 3
    assert torch.equal(found["weight"], torch.ones(2))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_failed_write_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, path)

    class Torn:
        """Fails when it is written, as a full disk does."""

        def __reduce__(self) -> str:
            raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"last.ckpt: could not write the checkpoint \(No space left on device\)"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 4, "state": Torn()}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(CheckpointError, match=r"checkpoints/last.ckpt: could not write the checkpoint \("):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "checkpoints" / "last.ckpt")
