"""A training with two processes equals one with a single process on their joined batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset

pytestmark = pytest.mark.slow

BATCH = 8
METHODS = {
    "supervised": (),
    "fixmatch": ("method.fixmatch.center=subject", "split.labeled=0.5", "loader.mu=1"),
    "fixmatch_adaptive": ("split.labeled=0.5", "loader.mu=1"),
    "miro": ("method.miro.normalize=layer",),
}
LOSSES = {"supervised": "bce", "fixmatch": "distribution_balanced", "fixmatch_adaptive": "dice", "miro": "focal"}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces with a third of the labels missing, so that one process has more labels in a step than the other."""
    folder = write_csv_dataset(tmp_path_factory.mktemp("data"), aus=("AU1", "AU12"), subjects=10, frames=7)
    labels = pd.read_csv(folder / "labels.csv")
    known = np.random.default_rng(0).random((len(labels), 2)) > 1 / 3
    labels[["AU1", "AU12"]] = labels[["AU1", "AU12"]].where(known)
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


def train(output: Path, faces: Path, method: str, *, processes: int) -> None:
    run_command(
        "train",
        "data=csv",
        f"data.labels={faces / 'labels.csv'}",
        f"data.images={faces / 'images'}",
        "model.backbone=test_vit",  # no batch statistics, and its dropout is off: it would be drawn by process
        "model.pretrained=false",
        "model.image_size=32",
        "model.dropout=0",
        f"method={method}",
        f"loss={LOSSES[method]}",
        *METHODS[method],
        "optimizer=sgd",  # steps of Adam do not go to 0 with the gradient, and would enlarge what is rounded otherwise
        "split.val=0.2",
        "split.test=0.2",
        "trainer=ddp" if processes > 1 else "trainer=cpu",
        "trainer.accelerator=cpu",
        f"trainer.devices={processes}",
        "trainer.max_epochs=2",
        "trainer.enable_progress_bar=false",
        f"loader.batch_size={BATCH // processes}",
        "loader.workers=0",
        "average.decay=0.9",
        "logger=none",
        "pictures=false",
        f"hydra.run.dir={output}",
    )


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name == "supervised" else pytest.mark.release) for name in METHODS]
)
def test_two_processes_end_with_the_network_and_scores_of_one(method: str, faces: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for processes, folder in enumerate(folders, 1):
        train(folder, faces, method, processes=processes)
    one, two = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for folder in folders)
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-6, rtol=0, msg=lambda text, key=key: f"{key}: {text}")
    epochs = [pd.read_csv(folder / "metrics.csv") for folder in folders]
    pd.testing.assert_frame_equal(epochs[1], epochs[0], atol=1e-6, rtol=0)
    rows = [pd.read_csv(folder / "predictions.csv") for folder in folders]
    pd.testing.assert_frame_equal(rows[1], rows[0], atol=1e-6, rtol=0)
    thresholds: list[Any] = [json.loads((folder / "metrics.json").read_text("utf-8")) for folder in folders]
    assert thresholds[1]["monitor"]["best"] == pytest.approx(thresholds[0]["monitor"]["best"], abs=1e-6)
    assert thresholds[1]["training"]["updates"] == thresholds[0]["training"]["updates"]
