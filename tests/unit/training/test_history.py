"""metrics.csv has the values that each epoch logged, and none from earlier epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from faceflow.training.history import EpochHistory
from tests.helpers.networks import random_images
from tests.helpers.training import fit, make_module


def labeled() -> dict[str, Any]:
    shown = {"labeled": random_images(2, 64), "target": torch.tensor([[[0.0]] * 2, [[1.0]] * 2])}
    return {"labeled": {**shown, "mask": torch.ones(2, 2, dtype=torch.bool), "index": torch.arange(2)}}


def test_an_epoch_without_validation_repeats_no_score(tmp_path: Path) -> None:
    validation = [{"eval": random_images(2, 64), "index": torch.arange(2)}]
    history = EpochHistory(path=str(tmp_path / "metrics.csv"))
    epochs = {"max_epochs": 5, "check_val_every_n_epoch": 2}
    fit(make_module(), [labeled()], validation=validation, callbacks=[history], **epochs)
    frame = pd.read_csv(tmp_path / "metrics.csv")
    assert frame["epoch"].tolist() == frame["step"].sub(1).tolist() == [0, 1, 2, 3, 4]
    assert frame["val/f1_val"].notna().tolist() == [False, True, False, True, False]
    assert frame["train/loss"].notna().all()
    assert frame["train/loss"].nunique() == 5


def test_a_resumed_run_continues_after_the_rows_of_its_checkpoint(tmp_path: Path) -> None:
    first, second = (EpochHistory(path=str(tmp_path / f"{name}.csv")) for name in ("first", "second"))
    fit(make_module(), [labeled()], callbacks=[first])
    second.load_state_dict(first.state_dict())
    fit(make_module(), [labeled()], callbacks=[second])
    rows = pd.read_csv(tmp_path / "second.csv")
    assert len(rows) == 2
    pd.testing.assert_frame_equal(rows[:1], pd.read_csv(tmp_path / "first.csv"))
