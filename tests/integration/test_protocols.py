"""Leave one domain out: complete runs of all folds, and what is kept after a restart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from tests.helpers.claims import contents
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL, Faces, Outcome, run, train

DOMAINS = ("studio", "web cam", "infrared")
FOLDERS = ("studio", "web_cam", "infrared")
SUMMARY = ("mean", "std", "pooled", "low", "high")
EPOCHS = "trainer.max_epochs=2"

pytestmark = pytest.mark.slow  # tests/integration/test_kfold.py runs folds among the fast ones


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Twelve subjects, who take three domains in turn."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    return Faces(write_csv_dataset(folder, aus=AUS, subjects=12, frames=3, domains=DOMAINS))


@pytest.fixture(scope="module")
def whole(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """An uninterrupted run of all folds, shared read-only."""
    return leave_out(tmp_path_factory.mktemp("runs") / "whole", faces, EPOCHS)


def leave_out(folder: Path, faces: Faces, *more: str) -> Outcome:
    return train(folder, "protocol=leave_one_domain_out", *faces.overrides, *more)


def refused(folder: Path, faces: Faces, *more: str) -> str:
    outcome = run("train", folder, *SMALL, "protocol=leave_one_domain_out", *faces.overrides, *more)
    assert outcome.code == 2
    return outcome.error


def fold(outcome: Outcome, name: str) -> Outcome:
    return Outcome(outcome.code, "", "", outcome.folder / name)


def weights(outcome: Outcome) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(outcome.checkpoint(), weights_only=True)["state_dict"]
    return state


def assert_same_numbers(first: Outcome, second: Outcome) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert first.metrics()["test"] == second.metrics()["test"]
    assert first.metrics()["monitor"] == second.metrics()["monitor"]


def copied(outcome: Outcome, folder: Path) -> Outcome:
    shutil.copytree(outcome.folder, folder)
    return Outcome(outcome.code, "", "", folder)


def test_every_domain_gets_a_run_of_its_own_that_tests_it_whole(whole: Outcome, faces: Faces) -> None:
    labels = faces.read()
    for domain, name in zip(DOMAINS, FOLDERS, strict=True):
        one = fold(whole, name)
        assert one.files() == {
            *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "data.txt", "metrics.csv"),
            *("metrics.json", "per_au.csv", "predictions.csv"),
        }
        assert set(one.table("predictions.csv")["filename"]) == set(labels["filename"][labels["domain"] == domain])
        protocol = one.metrics()["protocol"]
        assert protocol["split"].endswith(f"split.test is not used; left out: {domain}")
        assert protocol["test"] == "faces (12 images, 4 subjects)"
        assert (protocol["train"], protocol["val"]) == ("faces (18 images, 6 subjects)", "faces (6 images, 2 subjects)")
    above = {path for path in whole.files() if "/" not in path}
    assert above == {"config.yaml", "folds.csv", "folds.txt", "folds_per_au.csv", "metrics.json", "train.log"}


def test_one_table_ends_the_run_with_the_mean_and_deviation_over_domains(whole: Outcome) -> None:
    frame = whole.table("folds.csv").set_index("domain")
    tests = [fold(whole, name).metrics()["test"]["faces"]["summary"] for name in FOLDERS]
    assert frame.index.tolist() == [*DOMAINS, *SUMMARY]
    assert frame.loc[list(DOMAINS), ["images", "subjects", "aus"]].to_numpy().tolist() == [[12, 4, 3]] * 3
    top = whole.metrics()
    for name in ("f1_val", "f1_0.5", "ap", "auroc"):
        values = np.array([test[name] for test in tests])
        assert frame.loc[list(DOMAINS), name].to_numpy() == pytest.approx(values)
        mean = values.sum() / 3
        deviation = np.sqrt(((values - mean) ** 2).sum() / 2)
        assert frame.loc[["mean", "std"], name].to_numpy() == pytest.approx([mean, deviation])
        assert (top["mean"][name], top["std"][name]) == pytest.approx((mean, deviation))
    table = (whole.folder / "folds.txt").read_text("utf-8")
    assert table in "".join(f"{line.rstrip()}\n" for line in whole.stdout.splitlines())
    assert table.splitlines()[1].split() == [
        *("domain", "images", "subjects", "AUs", "always", "prior", "F1@val", "F1@0.5", "AP", "AUROC"),
    ]
    best = [fold(whole, name).table("metrics.csv")["val/f1_val"].max() for name in FOLDERS]
    assert top["monitor"] == {"metric": "val/f1_val", "best": pytest.approx(np.mean(best), abs=1e-6)}
    assert list(top["folds"]) == list(DOMAINS)


def test_started_again_finished_folds_are_kept_and_lost_ones_trained(
    whole: Outcome, faces: Faces, tmp_path: Path
) -> None:
    before = copied(whole, tmp_path / "run")
    kept = before.folder / "infrared" / "checkpoints" / "best.ckpt"
    written = kept.stat().st_mtime_ns
    shutil.rmtree(before.folder / "studio")
    for name in ("metrics.json", "checkpoints/best.ckpt", "config.yaml"):  # only last.ckpt is of use
        (before.folder / "web_cam" / name).unlink()
    again = leave_out(before.folder, faces, EPOCHS, "callbacks.progress.refresh_rate=5")
    assert [line for line in again.stdout.splitlines() if line.startswith("Fold") and not line.endswith("data")] == [
        "Fold 1 of 3, domain studio: training",
        "Fold 2 of 3, domain web cam: training",
        "Fold 3 of 3, domain infrared: finished earlier, kept",
    ]
    assert "web_cam/checkpoints/best.ckpt is missing, so this fold starts from the beginning" in again.stderr
    assert kept.stat().st_mtime_ns == written
    for name in FOLDERS:
        assert_same_numbers(fold(again, name), fold(whole, name))
    assert (again.folder / "folds.csv").read_text() == (whole.folder / "folds.csv").read_text()


class InterruptOnce(L.Callback):
    """Stops the second epoch of a domain's training as Ctrl-C does, the first time only."""

    def __init__(self, domain: str, marker: str) -> None:
        self.domain, self.marker = domain, Path(marker)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        here = Path(trainer.default_root_dir).name == self.domain and trainer.current_epoch == 1
        if here and not self.marker.exists():
            self.marker.touch()
            raise KeyboardInterrupt


def test_the_stored_config_of_a_fold_repeats_it_alone_and_an_interrupted_fold_continues(
    whole: Outcome, tmp_path: Path
) -> None:
    callback = {"_target_": f"{__name__}.InterruptOnce", "domain": "infrared", "marker": tmp_path / "marker"}
    settings = [f"+callbacks.stop.{key}={value}" for key, value in callback.items()]
    settings += ["--config-dir", str(whole.folder / "infrared"), "--config-name", "config"]
    broken = run("train", tmp_path / "run", *settings)
    kept = "finished folds are kept, and finished epochs of the current one; to resume, rerun the same command with"
    assert (broken.code, broken.stderr) == (130, f"Interrupted: {kept} hydra.run.dir={tmp_path / 'run'}\n")
    last = tmp_path / "run" / "infrared" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["epoch"] == 0
    again = run("train", tmp_path / "run", *settings)
    assert again.code == 0, again.stderr
    assert f"Fold 1 of 1, domain infrared: continuing from {last}" in again.stdout
    assert_same_numbers(fold(again, "infrared"), fold(whole, "infrared"))
    assert fold(again, "infrared").table("metrics.csv")["epoch"].tolist() == [0, 1]
    assert again.table("folds.csv")["domain"].tolist() == ["infrared", *SUMMARY]


def test_folds_of_other_settings_or_data_are_not_taken_for_ours(whole: Outcome, faces: Faces, tmp_path: Path) -> None:
    earlier = copied(whole, tmp_path / "run").folder
    before = contents(earlier)
    message = refused(earlier, faces, EPOCHS, "optimizer.lr=0.5")
    assert "optimizer.lr: expected " in message
    assert f" as in '{earlier / 'studio' / 'config.yaml'}', got 0.5; " in message
    assert "protocol._target_: expected " in refused(earlier, faces, EPOCHS, "protocol=holdout")
    assert "protocol.legacy: expected False as for the folds in" in refused(earlier, faces, "protocol.legacy=true")
    assert "trainer.max_epochs: expected " in refused(earlier, faces, "trainer.max_epochs=abc", "overwrite=true")
    assert contents(earlier) == before
    changed = Faces(shutil.copytree(faces.folder, tmp_path / "faces"))
    frame = changed.read()
    frame["AU12"] = frame["AU12"].where(frame["subject"] != "s0", "5")  # s0 is of the studio
    for config in earlier.glob("*/config.yaml"):
        config.write_text(config.read_text("utf-8").replace(str(faces.folder), str(changed.folder)), "utf-8")
    changed.write(frame)
    message = refused(earlier, changed, EPOCHS)
    assert "studio/metrics.json: expected the data of that run, got other faces, subjects or labels in test" in message
    assert fold(whole, "studio").files() == fold(Outcome(0, "", "", earlier), "studio").files()
    assert (earlier / "studio" / "data.txt").read_text() == (whole.folder / "studio" / "data.txt").read_text()
    (earlier / "studio" / "metrics.json").write_text("{")
    assert "studio/metrics.json: expected the record of a finished fold" in refused(earlier, changed, EPOCHS)


@pytest.mark.release
def test_overwrite_trains_all_folds_again_and_leaves_none_of_the_earlier_ones(
    whole: Outcome, faces: Faces, tmp_path: Path
) -> None:
    before = copied(whole, tmp_path / "run")
    shutil.copytree(before.folder / "studio", before.folder / "attic")  # a domain that is no more
    other = refused(before.folder, faces, EPOCHS)
    assert other.startswith("ConfigError: hydra.run.dir: expected the folds studio, web_cam, infrared, got ")
    again = leave_out(before.folder, faces, EPOCHS, "overwrite=true", "seed=1")
    assert again.stdout.count(": training\n") == 3
    assert again.files() == whole.files()
    assert {fold(again, name).metrics()["run"]["seed"] for name in FOLDERS} == {1}


def test_resume_is_refused_with_the_way_that_works(whole: Outcome, faces: Faces, tmp_path: Path) -> None:
    message = refused(tmp_path, faces, f"resume={fold(whole, 'studio').checkpoint('last')}")
    assert "resume: expected null with one network per domain" in message
    assert "hydra.run.dir=FOLDER" in message


def test_one_domain_is_refused(faces: Faces, tmp_path: Path) -> None:
    assert "at least two domains" in refused(tmp_path, faces, "data.sources.csv.domains=[studio]")


def test_report_and_preview_look_at_every_fold_and_train_none(faces: Faces, tmp_path: Path) -> None:
    report = leave_out(tmp_path / "report", faces, "report_only=true")
    assert report.files() == {"train.log", *(f"{name}/data.txt" for name in FOLDERS)}
    preview = leave_out(tmp_path / "preview", faces, "preview=2", "protocol.domains=[studio]")
    assert preview.files() == {"train.log", "studio/data.txt", "studio/transforms.png"}


@pytest.mark.release
def test_a_fold_trained_without_a_test_is_tested_later_and_intensities_have_icc(faces: Faces, tmp_path: Path) -> None:
    settings = ("levels=5", "protocol.domains=[studio]")
    untested = leave_out(tmp_path, faces, *settings, "test=false")
    assert untested.table("folds.csv").columns.tolist() == ["domain", "images", "subjects", "aus", "val/icc"]
    trained = weights(fold(untested, "studio"))
    tested = leave_out(tmp_path, faces, *settings)
    after = weights(fold(tested, "studio"))
    assert all(torch.equal(after[name], trained[name]) for name in trained)
    scores = fold(tested, "studio").metrics()["test"]["faces"]["summary"]
    frame = tested.table("folds.csv")
    assert frame["icc"].tolist()[:3] == pytest.approx([scores["icc"], scores["icc"], np.nan], nan_ok=True)
    _, _, _, pooled, low, high = frame["icc"]
    assert pooled == pytest.approx(scores["icc"], abs=1e-6)
    assert low < pooled < high
    assert "ICC" in (tmp_path / "folds.txt").read_text("utf-8")
