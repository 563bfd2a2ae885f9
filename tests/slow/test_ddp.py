"""Two processes on the CPU: one result, no row counted twice."""

import json

import pandas as pd
import pytest

from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset

pytestmark = pytest.mark.slow


def test_two_processes_train_and_score_every_row_once(tmp_path):
    # 7 subjects x 3 frames: neither the training nor the validation rows divide by two.
    folder = write_csv_dataset(tmp_path / "faces", aus=["AU6", "AU12"], subjects=7, frames=3)
    settings = (
        "data=csv",
        f"data.labels={folder / 'labels.csv'}",
        f"data.images={folder / 'images'}",
        "model.backbone=test_resnet",
        "model.pretrained=false",
        "model.image_size=32",
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.max_epochs=2",
        "trainer.enable_progress_bar=false",
        "loader.batch_size=4",
        "loader.workers=0",
        "average=ema",
        "average.decay=0.9",
        "logger=none",
        f"hydra.run.dir={tmp_path}/train_${{now:%Y}}",  # named by the time, as without this setting
    )
    done = run_command("train", *settings)
    (output,) = tmp_path.glob("train_*")  # both processes in one folder
    predictions = pd.read_csv(output / "predictions.csv")
    assert not predictions["filename"].duplicated().any()
    (evaluation,) = json.loads((output / "metrics.json").read_text())["test"].values()
    assert evaluation["rows"] == len(predictions)
    assert len(pd.read_csv(output / "metrics.csv")) == 2
    assert done.stdout.count("Labels per AU") == 1
    again = (*settings[:-1], f"hydra.run.dir={output}", "trainer.max_epochs=1", "overwrite=true")
    run_command("train", *again)
    assert len(pd.read_csv(output / "metrics.csv")) == 1
    assert not list(output.glob(".claim"))
