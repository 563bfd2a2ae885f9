"""Two processes on the CPU: one result, and no row is counted twice."""

import json

import pandas as pd
import pytest
import torch

from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.pseudo_labeller import PseudoLabeller
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
COUNTS = LabelCounts(torch.tensor([[10, 5], [30, 20]]), torch.tensor([100, 100]), origins=3)
RULES = {
    "adaptive": {"coverage": 0.4, "center": "none", "targets": "hard"},
    "centred": {"coverage": 0.4, "center": "subject", "targets": "hard"},
    "soft": {"coverage": None, "center": "subject", "targets": "soft"},
}


def labelled(rule, batches):
    """Pseudo-labels of all batches, and the state after them."""
    labeller = PseudoLabeller(p_cutoff=0.95, n_cutoff=None, rank_consistent=True, prior_strength=0, **RULES[rule])
    labeller.bind(("AU1", "AU12"), COUNTS, key="method.fixmatch")
    targets = []
    for logits, origin in batches:
        prepared = labeller.prepared({"unlabeled": logits}, {"unlabeled": {"origin": origin}})["unlabeled"]
        labels = labeller.label(prepared)
        targets.append(torch.where(labels.confident, labels.target, -1.0))
        labeller.follow(prepared)
    return torch.cat(targets), labeller.state_dict()


def batches(rows):
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        logits = 3 * torch.randn(2 * ROWS, 2, 2, generator=generator)
        yield logits[rows], torch.randint(0, 3, (2 * ROWS,), generator=generator)[rows]


def label_half(rank, folder, rule):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(labelled(rule, batches(slice(rank, None, 2))), folder / f"{rank}.pt")  # as the sampler deals them
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=() if rule == "centred" else pytest.mark.release) for rule in RULES]
)
def test_two_processes_label_as_one_with_all_rows_does(rule, tmp_path):
    torch.multiprocessing.spawn(label_half, (tmp_path, rule), nprocs=2)
    targets, state = labelled(rule, batches(slice(None)))
    targets = targets.reshape(STEPS, ROWS, 2, 2, 2)
    for rank in (0, 1):
        half, found = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(half.reshape(STEPS, ROWS, 2, 2), targets[:, :, rank], atol=1e-6, rtol=0)
        for key, value in found.items():
            assert torch.equal(value, state[key]), key
