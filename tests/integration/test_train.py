"""Whole runs: what they write, that it is true, and that they repeat and go on bit for bit."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from faceflow.artifacts.checkpoint import load_network
from faceflow.config.paths import config_dir
from faceflow.data.splits import SplitConfig, make_splits
from tests.helpers.faces import read_folder
from tests.integration.command import AUS, SMALL, Faces, Outcome, make_faces, run, train

CPU = ("accelerator=cpu", "loader.workers=0")
LOSSES = sorted(path.stem for path in (Path(config_dir()) / "loss").glob("*.yaml"))


def evaluate(outcome: Outcome, folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-test on the best checkpoint of a run."""
    tested = run("test", folder, *CPU, f"checkpoint={outcome.checkpoint()}", *overrides)
    assert tested.code == 0, tested.stderr
    return tested


def written(folder: Path) -> set[str]:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in files if path.parts[0] != ".hydra"}


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def assert_equal(first: Any, second: Any, key: str = "") -> None:
    """Compare nested containers of tensors bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), key
        for name in first:
            assert_equal(first[name], second[name], f"{key}.{name}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), key
        for number, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_equal(a, b, f"{key}.{number}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), key
    else:
        assert first == second, key


def test_a_run_writes_its_documented_files(trained: Outcome) -> None:
    tensorboard = {name for name in written(trained.folder) if name.startswith("tensorboard/")}
    assert any("tfevents" in name for name in tensorboard)
    assert written(trained.folder) - tensorboard == {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "data.txt", "metrics.csv", "metrics.json"),
        *("per_au.csv", "predictions.csv", "results.png", "train.log"),
    }
    assert trained.table("metrics.csv")["epoch"].tolist() == [0, 1]
    assert trained.table("per_au.csv")["au"].tolist() == list(AUS)
    assert trained.table("predictions.csv").columns.tolist() == [
        *("dataset", "filename", "person"),
        *itertools.chain(*((f"{au}_prob", f"{au}_occurs", au) for au in AUS)),
    ]
    assert (trained.folder / "results.png").read_bytes().startswith(b"\x89PNG")


def test_the_record_says_what_made_the_numbers(trained: Outcome, faces: Faces) -> None:
    metrics = trained.metrics()
    record = metrics["run"]
    assert record["seed"] == 0
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert {split: sets["faces"]["rows"] for split, sets in record["data"].items()} == {
        "train": 20,
        "val": 12,
        "test": 8,
    }
    splits = make_splits([read_folder(faces.folder)], SplitConfig(val=0.3, test=0.2, seed=0))
    fingerprints = {split: tables[0].fingerprint() for split, tables in splits.items()}
    assert {split: sets["faces"]["sha256"] for split, sets in record["data"].items()} == fingerprints
    assert metrics["protocol"]["split"] == "val 30% and test 20% of the persons, seed 0"
    assert metrics["protocol"]["test"] == "faces (8 images, 2 subjects)"
    assert metrics["protocol"]["labels"] == "faces: occurrence = intensity >= 2 on a 0-5 scale"
    assert metrics["monitor"]["metric"] == "val/f1_val"
    assert metrics["monitor"]["best"] == pytest.approx(trained.table("metrics.csv")["val/f1_val"].max(), abs=1e-6)


def test_faceflow_test_repeats_the_numbers_of_training_on_unseen_persons_only(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    tested = evaluate(trained, tmp_path, *faces.overrides)
    assert (
        tested.stderr.strip() == "WARNING left out 32 images of persons that the checkpoint was trained or validated on"
    )
    assert tested.metrics()["protocol"]["left out"] == "32 images of seen persons"
    for metric, value in trained.metrics()["test"]["faces"]["summary"].items():
        assert tested.metrics()["test"]["faces"]["summary"][metric] == pytest.approx(value, abs=1e-9)
    pd.testing.assert_frame_equal(tested.table("per_au.csv"), trained.table("per_au.csv"), atol=1e-9)
    assert not set(tested.table("predictions.csv")["person"]) & set(load_network(trained.checkpoint(), key="")[1].seen)
    assert written(tmp_path) == {
        *("metrics.json", "per_au.csv", "predictions.csv", "results.png", "data.txt", "test.log"),
    }


def test_metrics_agree_with_scikit_learn_on_all_persons_and_say_who_was_seen(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    tested = evaluate(trained, tmp_path, *faces.overrides, "subset=all")
    assert tested.metrics()["protocol"]["caution"] == "includes persons seen in training or validation"
    assert "includes persons seen in training or validation" in " ".join(tested.stdout.split())
    predictions, per_au = tested.table("predictions.csv"), tested.table("per_au.csv").set_index("au")
    assert len(predictions) == 40
    expected = {
        au: {
            "f1_0.5": f1_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"] >= 0.5),
            "f1_val": f1_score(
                predictions[f"{au}_occurs"], predictions[f"{au}_prob"] >= per_au.loc[au, "threshold_val"]
            ),
            "ap": average_precision_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"]),
            "auroc": roc_auc_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"]),
        }
        for au in AUS
    }
    for au, metric in itertools.product(AUS, ("f1_0.5", "f1_val", "ap", "auroc")):
        assert per_au.loc[au, metric] == pytest.approx(expected[au][metric], abs=1e-9), (au, metric)
    summary = tested.metrics()["test"]["faces"]["summary"]
    for metric in ("f1_0.5", "f1_val", "ap", "auroc"):
        assert summary[metric] == pytest.approx(np.mean([expected[au][metric] for au in AUS]), abs=1e-9)


def test_labels_in_predictions_are_those_of_the_csv(trained: Outcome, faces: Faces) -> None:
    predictions = trained.table("predictions.csv").set_index("filename")
    labels = faces.read().set_index("filename").loc[predictions.index]
    for au in AUS:
        assert predictions[au].tolist() == labels[au].astype(float).tolist()
        assert predictions[f"{au}_occurs"].tolist() == (labels[au].astype(int) >= 2).astype(int).tolist()
    assert predictions["person"].tolist() == ("faces/" + labels["subject"]).tolist()


def test_thresholds_are_the_best_ones_on_the_validation_persons(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    (val,) = make_splits([read_folder(faces.folder)], SplitConfig(val=0.3, test=0.2, seed=0))["val"]
    frame = faces.read().set_index("filename")
    csv = Faces(tmp_path).write(frame.loc[val.filenames].reset_index())
    overrides = ("data=csv", f"data.labels={csv}", f"data.images={faces.images}", "subset=all")
    predictions = evaluate(trained, tmp_path / "run", *overrides).table("predictions.csv")
    stored = load_network(trained.checkpoint(), key="")[1].thresholds
    for au in AUS:
        probability, truth = predictions[f"{au}_prob"].to_numpy(), predictions[f"{au}_occurs"].to_numpy()
        assert stored[au] == pytest.approx(bagged_by_brute_force(probability, truth), abs=2e-6)


def bagged_by_brute_force(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the frames and 50 resamples of them of the cut with the best F1, the one nearest 0.5 of several."""
    rng = np.random.default_rng(0)
    draws = [np.arange(len(truth)), *(rng.integers(0, len(truth), len(truth)) for _ in range(50))]
    cuts = []
    for rows in draws:
        scores = np.unique(np.append(probability[rows], 0.0))
        if len(set(truth[rows])) == 2:
            between = (scores[1:] + scores[:-1]) / 2
            rated = [(f1_score(truth[rows], probability[rows] >= cut), -abs(cut - 0.5), cut) for cut in between]
            best = max(f1 for f1, _, _ in rated)
            cuts.append(max((near, cut) for f1, near, cut in rated if math.isclose(f1, best))[1])
    return float(np.mean(cuts))


def test_the_stored_config_repeats_the_run_bit_for_bit_and_another_seed_does_not(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    again = run("train", tmp_path / "again", "--config-dir", str(trained.folder), "--config-name", "config")
    assert again.code == 0, again.stderr
    for name in ("best", "last"):
        assert_equal(load(again.checkpoint(name))["state_dict"], load(trained.checkpoint(name))["state_dict"])
    assert again.metrics()["test"] == trained.metrics()["test"]
    assert (again.folder / "metrics.csv").read_text() == (trained.folder / "metrics.csv").read_text()
    other = train(tmp_path / "other", *faces.overrides, "trainer.max_epochs=2", "seed=1", "test=false")
    assert (other.table("metrics.csv")["train/loss"] != trained.table("metrics.csv")["train/loss"]).all()


class InterruptIn(L.Callback):
    """Stops a run in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(workers: int, faces: Faces, tmp_path: Path) -> None:
    settings = (
        *faces.overrides,
        *("trainer.max_epochs=3", "ema_decay=0.9", "model.dropout=0.5", "optimizer.lr=0.01", "test=false"),
        f"loader.workers={workers}",
    )
    whole = train(tmp_path / "whole", *settings)
    interrupt = (f"+callbacks.stop._target_={__name__}.InterruptIn", "+callbacks.stop.epoch=2")
    broken = run("train", tmp_path / "broken", *SMALL, *settings, *interrupt)
    assert (broken.code, broken.stderr) == (130, "Interrupted.\n")
    assert any(key.startswith("ema.network.") for key in load(broken.checkpoint("last"))["state_dict"])
    for source in ("last", "best"):
        resumed = train(tmp_path / source, *settings, f"resume={broken.checkpoint(source)}")
        for name in ("best", "last"):
            ours, theirs = load(resumed.checkpoint(name)), load(whole.checkpoint(name))
            for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
                assert_equal(ours[part], theirs[part], part)
            assert ours["faceflow"]["thresholds"] == theirs["faceflow"]["thresholds"]
        assert resumed.stdout.splitlines()[-2] == whole.stdout.splitlines()[-2]  # "Best val/f1_val: ..."
        unbroken, history = whole.table("metrics.csv"), resumed.table("metrics.csv")
        pd.testing.assert_frame_equal(history[-1:], unbroken[-1:], check_exact=True)
        assert history["epoch"].tolist() == [0, 1, 2]


def test_a_finished_run_that_is_resumed_keeps_its_best_checkpoint(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    again = train(tmp_path, *faces.overrides, "trainer.max_epochs=2", f"resume={trained.checkpoint('last')}")
    assert again.checkpoint().read_bytes() == trained.checkpoint().read_bytes()
    assert again.metrics()["test"] == trained.metrics()["test"]


def test_data_sets_with_different_aus_train_together_and_are_scored_apart_and_pooled(tmp_path: Path) -> None:
    first = make_faces(tmp_path / "first", aus=("AU1", "AU6"))
    second = make_faces(tmp_path / "second", aus=("AU6", "AU12"), subjects=5)
    more = ("+data/source@data.sources.more=default", f"data.sources.more.labels={second.csv}")
    outcome = train(tmp_path / "run", *first.overrides, *more, f"data.sources.more.images={second.images}")
    assert load_network(outcome.checkpoint(), key="")[0].spec.aus == AUS
    test = outcome.metrics()["test"]
    assert {name: scores["rows"] for name, scores in test.items()} == {"first": 8, "more": 4, "all": 12}
    observed = {name: [scores["per_au"][au]["observed"] for au in AUS] for name, scores in test.items()}
    assert observed == {"first": [8, 8, 0], "more": [0, 4, 4], "all": [8, 12, 4]}
    assert test["first"]["per_au"]["AU12"]["auroc"] is None
    assert {"val/f1_val", "val/first/f1_val", "val/more/f1_val"} <= set(outcome.table("metrics.csv").columns)


def test_sides_are_trained_apart_and_scored_joined_where_labels_name_no_side(tmp_path: Path) -> None:
    sided = make_faces(tmp_path / "faces", aus=("AU12_L", "AU6", "AU12_R"))
    outcome = train(tmp_path / "run", *sided.overrides)
    assert outcome.table("per_au.csv")["au"].tolist() == ["AU6", "AU12_L", "AU12_R"]
    labels = sided.read()
    strongest = labels[["AU12_L", "AU12_R"]].astype(int).max(axis=1)
    sided.write(labels.drop(columns=["AU12_L", "AU12_R"]).assign(AU12=strongest), "joined.csv")
    by_side = evaluate(outcome, tmp_path / "by_side", *sided.overrides, "subset=all").table("predictions.csv")
    joined = evaluate(
        outcome, tmp_path / "joined", *sided.overrides, f"data.labels={sided.folder}/joined.csv", "subset=all"
    )
    assert joined.table("per_au.csv")["au"].tolist() == ["AU6", "AU12"]
    predictions = joined.table("predictions.csv")
    assert predictions["AU12_prob"].tolist() == by_side[["AU12_L_prob", "AU12_R_prob"]].max(axis=1).tolist()
    assert predictions["AU12"].tolist() == strongest.tolist()
    threshold = load_network(outcome.checkpoint(), key="")[1].thresholds["AU12"]
    assert joined.table("per_au.csv").set_index("au").loc["AU12", "threshold_val"] == pytest.approx(threshold, abs=1e-9)


def test_five_levels_are_scored_as_intensities(faces: Faces, tmp_path: Path) -> None:
    outcome = train(tmp_path, *faces.overrides, "levels=5")
    metrics, predictions = outcome.metrics(), outcome.table("predictions.csv")
    assert metrics["monitor"]["metric"] == "val/icc"
    for au in AUS:
        ratings = predictions[[f"{au}_int", au]].to_numpy()
        assert ((ratings >= 0) & (ratings <= 5)).all()
        assert metrics["test"]["faces"]["per_au"][au]["icc"] == pytest.approx(icc_3_1(ratings), abs=1e-4)


def icc_3_1(ratings: np.ndarray) -> float:
    """ICC(3,1) from the mean squares of a two-way ANOVA (Shrout and Fleiss 1979)."""
    rows, raters = ratings.shape
    deviations = ratings - ratings.mean()
    by_row = raters * (deviations.mean(axis=1) ** 2).sum()
    by_rater = rows * (deviations.mean(axis=0) ** 2).sum()
    residual = ((deviations**2).sum() - by_row - by_rater) / ((rows - 1) * (raters - 1))
    return float((by_row / (rows - 1) - residual) / (by_row / (rows - 1) + (raters - 1) * residual))


def test_init_weights_starts_from_the_network_of_a_checkpoint(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    still = ("optimizer.lr=1e-12", f"init_weights={trained.checkpoint()}", "test=false")
    ours = load(train(tmp_path, *faces.overrides, *still).checkpoint())["state_dict"]
    theirs = load(trained.checkpoint())["state_dict"]
    for key, value in theirs.items():
        if key.startswith("network.") and not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(ours[key], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(loss: str, faces: Faces, tmp_path: Path) -> None:
    settings = (f"loss={loss}", "optimizer.lr=0.01", "trainer.max_epochs=4", "model.dropout=0", "flip=0", "test=false")
    weak = ("transforms@transforms.weak=eval",)
    losses = train(tmp_path, *faces.overrides, *settings, *weak).table("metrics.csv")["train/loss"]
    assert losses.iloc[-1] < losses.iloc[0]


def test_preview_draws_and_report_only_reports_instead_of_training(faces: Faces, tmp_path: Path) -> None:
    preview = train(tmp_path / "preview", *faces.overrides, "preview=4")
    assert written(preview.folder) == {"data.txt", "train.log", "transforms.png"}
    report = train(tmp_path / "report", *faces.overrides, "report_only=true")
    assert written(report.folder) == {"data.txt", "train.log"}
    assert "Labels per AU" in (report.folder / "data.txt").read_text("utf-8")


@pytest.mark.parametrize("command", ["train", "test"])
def test_help_lists_every_group_without_loading_torch(command: str) -> None:
    heavy = ("torch", "lightning", "timm", "albumentations", "pandas", "matplotlib")
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('LOADED', sorted(set({heavy}) & set(sys.modules))))\n"
        f"sys.argv = ['faceflow-{command}', '--help']\n"
        f"from faceflow.cli.{command} import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "LOADED []" in done.stdout
    assert listed_groups(done.stdout) >= ({"data", "transforms"} if command == "test" else all_groups())


def all_groups() -> set[str]:
    folders: Sequence[Path] = [path for path in Path(config_dir()).iterdir() if path.is_dir()]
    return {folder.name for folder in folders} - {"help", "output", "local"}


def listed_groups(text: str) -> set[str]:
    return {line.partition(":")[0].strip() for line in text.splitlines() if ": " in line}
