"""Two processes on the CPU: one result, no row counted twice."""

import json

import pandas as pd
import pytest
import torch

from faceflow.methods.cutoffs import CutoffRule
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


STEPS, ROWS = 40, 8
PRIOR = torch.tensor([[0.1, 0.05], [0.3, 0.2]])


def followed(batches):
    """State of adaptive cutoffs after batches."""
    rule = CutoffRule(p_cutoff=0.95, n_cutoff=None, coverage=0.4, rank_consistent=True)
    rule.bind(("AU1", "AU12"), PRIOR, key="method.fixmatch")
    for logits in batches:
        rule.follow(logits)
    return rule.state_dict()


def batches():
    return 3 * torch.randn(STEPS, 2 * ROWS, 2, 2, generator=torch.Generator().manual_seed(0))


def follow_half(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(followed(batches()[:, rank * ROWS : (rank + 1) * ROWS]), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_adaptive_cutoffs_of_two_processes_are_those_of_one_with_all_rows(tmp_path):
    torch.multiprocessing.spawn(follow_half, (tmp_path,), nprocs=2)
    whole = followed(batches())
    for rank in (0, 1):
        for key, value in torch.load(tmp_path / f"{rank}.pt").items():
            assert torch.equal(value, whole[key]), key
