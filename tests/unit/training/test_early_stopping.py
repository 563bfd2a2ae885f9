"""A resumed run uses the patience of its own config."""

from __future__ import annotations

import torch

from faceflow.training.early_stopping import EarlyStopping


def test_a_resumed_run_keeps_the_best_score_but_not_the_patience() -> None:
    earlier = EarlyStopping(monitor="val/f1_val", mode="max", patience=3)
    earlier.best_score, earlier.wait_count = torch.tensor(0.7), 2
    resumed = EarlyStopping(monitor="val/f1_val", mode="max", patience=10)
    resumed.load_state_dict(earlier.state_dict())
    assert (float(resumed.best_score), resumed.wait_count, resumed.patience) == (torch.tensor(0.7).item(), 2, 10)
