"""A resumed run copies its best checkpoint into its own folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from faceflow.training.best import BestCheckpoint


def callback(folder: Path) -> BestCheckpoint:
    return BestCheckpoint(dirpath=str(folder), filename="best", monitor="val/f1_val", mode="max")


def state(folder: Path, score: float = 0.5) -> dict[str, Any]:
    """What Lightning saves of a callback whose best checkpoint lies in a folder."""
    path = str(folder / "best.ckpt")
    return {
        "monitor": "val/f1_val",
        "best_model_score": torch.tensor(score),
        "best_model_path": path,
        "current_score": torch.tensor(score),
        "dirpath": str(folder),
        "best_k_models": {path: torch.tensor(score)},
        "kth_best_model_path": path,
        "kth_value": torch.tensor(score),
        "last_model_path": "",
    }


def test_the_best_checkpoint_is_copied_and_its_score_is_the_one_to_beat(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "best.ckpt").write_bytes(b"best so far")
    best = callback(tmp_path / "new")
    best.load_state_dict(state(tmp_path / "old"))
    assert (tmp_path / "new" / "best.ckpt").read_bytes() == b"best so far"
    assert best.best_model_path == str(tmp_path / "new" / "best.ckpt")
    assert best.best_model_score == 0.5
    assert list(best.best_k_models) == [best.best_model_path]


def test_it_is_found_beside_the_resumed_checkpoint_where_the_folder_was_moved(tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "best.ckpt").write_bytes(b"best so far")
    best = callback(tmp_path / "new")
    trainer: Any = SimpleNamespace(ckpt_path=str(tmp_path / "moved" / "last.ckpt"))
    best.on_load_checkpoint(trainer, None, {})  # type: ignore[arg-type]
    best.load_state_dict(state(tmp_path / "gone"))
    assert (tmp_path / "new" / "best.ckpt").read_bytes() == b"best so far"


def test_in_its_own_folder_nothing_is_copied(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(b"best so far")
    best = callback(tmp_path)
    best.load_state_dict(state(tmp_path))
    assert best.best_model_path == str(tmp_path / "best.ckpt")
    assert best.best_model_score == 0.5


def test_a_lost_best_checkpoint_is_reported_and_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    best = callback(tmp_path / "new")
    best.load_state_dict(state(tmp_path / "gone"))
    assert best.best_model_score is None
    assert "only later epochs can become the best" in caplog.text
