"""Guards the numbers of training against unnoticed changes.

A failure means that the same config, seed and data train a different network than before. If that is intended, copy the
losses that the failure prints into golden_losses.json and add an entry under "Numerics" in CHANGELOG.md, because
published results no longer repeat. The tolerance covers processors and torch releases, which differ in the last digits.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.command import Faces, train

GOLDEN = Path(__file__).with_name("golden_losses.json")


def test_training_losses_are_those_on_record(faces: Faces, tmp_path: Path) -> None:
    settings = ("trainer.max_epochs=2", "optimizer.lr=0.01", "model.dropout=0.2", "test=false")
    average = ("average=ema", "average.decay=0.9")
    found = train(tmp_path, *faces.overrides, *settings, *average).table("metrics.csv")["train/loss"].tolist()
    recorded = json.loads(GOLDEN.read_text("utf-8"))["train/loss"]
    assert found == pytest.approx(recorded, abs=1e-4)
