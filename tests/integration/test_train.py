"""Complete runs: their files are right, and they repeat and resume bit for bit."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from faceflow.config.paths import config_dir
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.models.checkpoint import load_network
from tests.helpers.faces import read_folder
from tests.integration.command import AUS, SMALL, Faces, Outcome, make_faces, run, train

LOSSES = sorted(path.stem for path in (Path(config_dir()) / "loss").glob("*.yaml"))


def test_a_run_writes_its_documented_files(trained: Outcome) -> None:
    tensorboard = {name for name in trained.files() if name.startswith("tensorboard/")}
    assert any("tfevents" in name for name in tensorboard)
    assert trained.files() - tensorboard == {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "data.txt", "metrics.csv", "metrics.json"),
        *("per_au.csv", "predictions.csv", "train.log", "report.html", "results.png"),
        *(f"pictures/{name}.png" for name in ("hardest", "confusion", "calibration", "cooccurrence", "training")),
    }
    assert trained.table("metrics.csv")["epoch"].tolist() == [0, 1]
    assert trained.table("per_au.csv")["au"].tolist() == list(AUS)
    assert trained.table("predictions.csv").columns.tolist() == [
        *("dataset", "filename", "subject"),
        *itertools.chain(*((f"{au}_prob", f"{au}_occurs", au) for au in AUS)),
    ]
    assert (trained.folder / "results.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_shows_the_numbers_and_pictures_of_the_run(trained: Outcome) -> None:
    page = (trained.folder / "report.html").read_text("utf-8")
    f1 = trained.metrics()["test"]["faces"]["summary"]["f1_val"]
    assert f"<b>{f1:.3f}</b>" in page
    assert "occurrence = intensity &gt;= 2 on a 0-5 scale" in page
    assert "backbone: test_resnet" in page
    assert page.count("data:image/png;base64,") == 6
    assert "://" not in page


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
    splits = make_splits([read_folder(faces.folder)], SplitConfig(val=0.3, test=0.2, seed=0, labeled=1.0))
    fingerprints = {split: tables[0].fingerprint() for split, tables in splits.items()}
    assert {split: sets["faces"]["content"] for split, sets in record["data"].items()} == fingerprints
    assert metrics["protocol"]["split"] == "val 30% and test 20% of the subjects, seed 0"
    assert metrics["protocol"]["test"] == "faces (8 images, 2 subjects)"
    assert metrics["protocol"]["labels"] == "faces: occurrence = intensity >= 2 on a 0-5 scale"
    assert metrics["monitor"]["metric"] == "val/f1_val"
    assert metrics["monitor"]["best"] == pytest.approx(trained.table("metrics.csv")["val/f1_val"].max(), abs=1e-6)


def test_labels_in_predictions_are_those_of_the_csv(trained: Outcome, faces: Faces) -> None:
    predictions = trained.table("predictions.csv").set_index("filename")
    labels = faces.read().set_index("filename").loc[predictions.index]
    for au in AUS:
        assert predictions[au].tolist() == labels[au].astype(float).tolist()
        assert predictions[f"{au}_occurs"].tolist() == (labels[au].astype(int) >= 2).astype(int).tolist()
    assert predictions["subject"].tolist() == ("own/" + labels["subject"]).tolist()


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


def test_five_levels_are_scored_as_intensities(faces: Faces, tmp_path: Path) -> None:
    outcome = train(tmp_path, *faces.overrides, "levels=5")
    metrics, predictions = outcome.metrics(), outcome.table("predictions.csv")
    assert metrics["monitor"]["metric"] == "val/icc"
    for au in AUS:
        ratings = predictions[[f"{au}_int", au]].to_numpy()
        assert ((ratings >= 0) & (ratings <= 5)).all()
        assert metrics["test"]["faces"]["per_au"][au]["icc"] == pytest.approx(icc_3_1(ratings), abs=1e-6)


def icc_3_1(ratings: np.ndarray) -> float:
    """ICC(3,1) from the mean squares of a two-way ANOVA (Shrout and Fleiss 1979)."""
    rows, raters = ratings.shape
    deviations = ratings - ratings.mean()
    by_row = raters * (deviations.mean(axis=1) ** 2).sum()
    by_rater = rows * (deviations.mean(axis=0) ** 2).sum()
    residual = ((deviations**2).sum() - by_row - by_rater) / ((rows - 1) * (raters - 1))
    return float((by_row / (rows - 1) - residual) / (by_row / (rows - 1) + (raters - 1) * residual))


@pytest.mark.slow
def test_init_weights_starts_from_the_network_of_a_checkpoint(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    still = ("optimizer.lr=1e-12", f"init_weights={trained.checkpoint()}", "test=false")
    started, _ = load_network(train(tmp_path, *faces.overrides, *still).checkpoint(), key="")
    given, _ = load_network(trained.checkpoint(), key="")
    for ours, theirs in zip(started.parameters(), given.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_other_aus_start_from_a_checkpoint_and_say_which_heads_are_new(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    best, still = trained.checkpoint(), ("optimizer.lr=1e-12", "aus.names=[AU12,AU9]", "test=false")
    frame = faces.read().assign(AU9=lambda f: f["AU6"])
    other = Faces(faces.folder).write(frame, "other.csv")
    data = (f"data.labels={other}", *still)
    warm = train(tmp_path / "warm", *faces.overrides, *data, f"init_weights={best}")
    assert f"the backbone and the heads of AU12 are from '{best}'; the heads of AU9 are new" in warm.stderr
    given, _ = load_network(best, key="")
    started, _ = load_network(warm.checkpoint(), key="")
    torch.testing.assert_close(started.head.linear.weight[0], given.head.linear.weight[2], atol=1e-6, rtol=0)
    backbone = train(tmp_path / "backbone", *faces.overrides, *data, f"model.weights={best}")
    assert "tensors under 'state_dict.average.network.backbone.model.' of" in backbone.stderr
    started, _ = load_network(backbone.checkpoint(), key="")
    for ours, theirs in zip(started.backbone.parameters(), given.backbone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(loss: str, faces: Faces, tmp_path: Path) -> None:
    settings = (f"loss={loss}", "optimizer.lr=0.01", "trainer.max_epochs=4", "model.dropout=0", "flip=0", "test=false")
    plain = ("transforms@transforms.labeled=eval",)
    losses = train(tmp_path, *faces.overrides, *settings, *plain).table("metrics.csv")["train/loss"]
    assert losses.iloc[-1] < losses.iloc[0]


def test_a_view_that_is_set_and_not_read_is_named(faces: Faces, tmp_path: Path) -> None:
    outcome = train(tmp_path, *faces.overrides, "transforms@transforms.strong=medium", "augment=strong", "preview=1")
    expected = (
        "WARNING transforms.strong is not used: no view of this method reads it; labelled faces use "
        "transforms.labeled, see augment=light|medium|strong"
    )
    assert outcome.stderr.splitlines() == [expected]


@pytest.mark.slow
def test_a_weak_view_that_no_teacher_reads_is_refused_but_in_configs_of_earlier_versions(
    faces: Faces, tmp_path: Path
) -> None:
    weak = (*faces.overrides, "transforms@transforms.weak=medium", "report_only=true")
    assert run("train", tmp_path / "now", *SMALL, *weak).error == (
        "ConfigError: transforms.weak: expected a view that this method reads, got one that only FixMatch's teacher "
        "reads; set the augmentation of labelled faces with augment=light|medium|strong"
    )
    earlier = run("train", tmp_path / "earlier", *SMALL, *weak, "~augment")  # their labelled faces showed the weak view
    assert (earlier.code, earlier.stderr) == (0, "")


@pytest.mark.slow
def test_preview_draws_and_report_only_reports_instead_of_training(faces: Faces, tmp_path: Path) -> None:
    preview = train(tmp_path / "preview", *faces.overrides, "preview=4")
    assert preview.files() == {"data.txt", "train.log", "transforms.png"}
    report = train(tmp_path / "report", *faces.overrides, "report_only=true")
    assert report.files() == {"data.txt", "train.log"}
    assert "Labels per AU" in (report.folder / "data.txt").read_text("utf-8")
