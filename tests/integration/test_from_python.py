"""The commands as Python functions: the same files and numbers, errors raised, and an unchanged interpreter."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import warnings
from pathlib import Path
from typing import Any

import hydra
import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import faceflow
from faceflow.api.train import TrainingRun
from faceflow.errors import CheckpointError, ConfigError, DataError, ExportError
from faceflow.files import _claims
from tests.helpers.markers import MARKERS, blank, moving_faces, write_video
from tests.integration.command import AUS, SMALL, Faces, Outcome, run
from tests.integration.test_crop import UNSTEADIED, write_disfa

QUICK = [override for override in SMALL if not override.startswith(("loader.", "trainer.max_epochs"))]


def train(faces: Faces, output: Path, *overrides: str, **keywords: Any) -> TrainingRun:
    """Train one epoch on the faces of a CSV, as the command's tests do."""
    settings: dict[str, Any] = {"data": "csv", "labels": faces.csv, "images": faces.images, "max_epochs": 1}
    settings |= {"batch_size": 8, "workers": 0, "output": output}
    return faceflow.train([*QUICK, *overrides], **(settings | keywords))


class Interrupt(L.Callback):
    """Presses Ctrl-C in the first step."""

    def on_train_batch_start(self, *_: Any) -> None:
        raise KeyboardInterrupt


def process_state() -> dict[str, object]:
    loggers = [logging.getLogger(), *map(logging.getLogger, ("lightning.pytorch", "timm", "faceflow"))]
    return {
        "logging": [(list(logger.handlers), logger.level) for logger in loggers],
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "claims": dict(_claims),
        "random": (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()),
        "torch": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        "threads": (torch.get_num_threads(), torch.is_grad_enabled()),
    }


def numbers(folder: Path) -> dict[str, Any]:
    """Measurements of a run, without times and paths."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    return {key: metrics[key] for key in ("monitor", "test", "protocol") if key in metrics}


@pytest.fixture(scope="module")
def trained_here(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(faces, tmp_path_factory.mktemp("python") / "run")


@pytest.mark.slow
def test_two_trainings_give_the_same_numbers_and_leave_no_state(
    trained_here: TrainingRun, faces: Faces, tmp_path: Path
) -> None:
    random.seed(11)
    before = process_state()
    again = train(faces, tmp_path / "again", "trainer.deterministic=true")
    assert process_state() == before
    assert numbers(again.folder) == numbers(trained_here.folder)
    weights = [torch.load(each.checkpoint, weights_only=True)["state_dict"] for each in (trained_here, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert train(faces, tmp_path / "other", seed=1).best != again.best


def test_it_is_the_run_of_the_command(trained_here: TrainingRun, faces: Faces, tmp_path: Path) -> None:
    command = run("train", tmp_path / "run", *SMALL, *faces.overrides)
    assert command.code == 0, command.stderr
    assert numbers(trained_here.folder) == numbers(command.folder)
    found = {str(path.relative_to(trained_here.folder)) for path in trained_here.folder.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".hydra/")} == command.files()
    assert ".hydra/overrides.yaml" in found
    configs = [(folder / "config.yaml").read_text("utf-8") for folder in (trained_here.folder, command.folder)]
    assert configs[0] == configs[1].replace(str(command.folder), str(trained_here.folder))
    repeated = run("train", tmp_path / "repeated", "--config-dir", str(trained_here.folder), "--config-name", "config")
    assert repeated.code == 0, repeated.stderr
    assert numbers(repeated.folder) == numbers(trained_here.folder)


def test_the_table_is_what_is_printed_and_written(trained_here: TrainingRun) -> None:
    table, scores = trained_here.table, trained_here.metrics["test"]["faces"]
    assert table is not None
    assert table["au"].tolist() == [*AUS, "mean"]
    for name in ("f1_val", "auroc", "ap", "threshold_val"):
        assert table.set_index("au")[name].drop("mean").to_dict() == {
            au: pytest.approx(values[name], nan_ok=True) for au, values in scores["per_au"].items()
        }
    (mean,) = table.loc[table["au"] == "mean", "f1_val"]
    assert mean == scores["summary"]["f1_val"]
    per_au = pd.read_csv(trained_here.folder / "per_au.csv")
    pd.testing.assert_frame_equal(table.iloc[:-1][["au", "f1_val"]], per_au[["au", "f1_val"]])
    assert trained_here.best == trained_here.metrics["monitor"]["best"]
    assert trained_here.checkpoint == trained_here.folder / "checkpoints/best.ckpt"


@pytest.mark.slow
def test_a_checkpoint_is_tested_exported_and_predicts(
    trained_here: TrainingRun, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"data": "csv", "labels": faces.csv, "images": faces.images, "workers": 0}
    before = process_state()
    tested = faceflow.test(
        ["pictures=false"], checkpoint=trained_here.checkpoint, output=tmp_path / "test", accelerator="cpu", **data
    )
    assert trained_here.table is not None
    pd.testing.assert_frame_equal(tested.table, trained_here.table)
    assert tested.f1 == tested.metrics["test"]["faces"]["summary"]["f1_val"]
    model = faceflow.export(checkpoint=trained_here.checkpoint, output="model.onnx", **data)
    assert model.path == tmp_path / "model.onnx"
    assert model.table.loc["file", "model"].startswith("model.onnx (")
    assert model.contract.aus == AUS
    assert model.difference < 1e-4
    with faceflow.load(model.path, crops=True) as predictor:
        rows = predictor.predict(faces.images)
    assert len(rows) == 40
    assert process_state() == before
    by_onnx = faceflow.test(["pictures=false"], onnx=model.path, output=tmp_path / "onnx", subset="all", **data)
    assert by_onnx.metrics["test"]["faces"]["rows"] == 40


@pytest.mark.slow
def test_a_run_without_a_test_or_a_training_says_so(faces: Faces, tmp_path: Path) -> None:
    untested = train(faces, tmp_path / "untested", "test=false")
    assert (untested.table, untested.metrics) == (None, {})
    assert untested.checkpoint is not None
    looked = train(faces, tmp_path / "looked", "report_only=true")
    assert (looked.best, looked.checkpoint, looked.table, looked.metrics) == (None, None, None, {})


@pytest.mark.slow
def test_folds_have_a_row_each(faces: Faces, tmp_path: Path) -> None:
    folds = train(faces, tmp_path / "folds", "protocol.k=2", "split.val=0.2", protocol="kfold")
    assert folds.table is not None
    assert folds.checkpoint is None
    assert list(folds.folds) == folds.table.iloc[:2, 0].tolist()
    assert all((folder / "checkpoints/best.ckpt").is_file() for folder in folds.folds.values())
    means = folds.table.set_index(folds.table.columns[0])["f1_val"]
    assert means["mean"] == pytest.approx(means.iloc[:2].mean())


@pytest.mark.slow
def test_ctrl_c_is_a_keyboard_interrupt_that_leaves_no_state(faces: Faces, tmp_path: Path) -> None:
    before = process_state()
    callback = f"+callbacks.stop._target_={__name__}.Interrupt"
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(faces, tmp_path / "run", callback)
    assert "nothing is kept" in stopped.value.__notes__[0]
    assert process_state() == before
    assert train(faces, tmp_path / "run").checkpoint is not None


@pytest.mark.slow
def test_a_program_of_hydra_trains_and_continues(
    trained_here: TrainingRun, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("output: ${hydra:runtime.output_dir}/run\n", "utf-8")
    silent = ("hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null")
    monkeypatch.setattr("sys.argv", ["mine", f"hydra.run.dir={tmp_path}/mine", *silent])
    runs: list[TrainingRun] = []

    @hydra.main(version_base="1.2", config_path=str(tmp_path), config_name="mine")
    def program(own: DictConfig) -> None:
        runs.append(train(faces, Path(own.output)))
        assert HydraConfig.get().job.config_name == "mine"
        assert own.output == f"{tmp_path}/mine/run"

    try:
        program()
    finally:
        GlobalHydra.instance().clear()
    assert numbers(runs[0].folder) == numbers(trained_here.folder)


def test_videos_are_cropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video = write_video(tmp_path / "a.avi", [*moving_faces(5), blank()])
    faces = faceflow.crop(MARKERS, source=video, output="out", hold=0, every=1, align="box")
    assert (faces.folder, faces.rows) == (tmp_path / "out", tmp_path / "out/crops.csv")
    assert (faces.finished, faces.labels, len(faces.crops)) == (True, None, 5)
    assert all(path.is_absolute() and path.is_file() for path in faces.crops)
    assert faces.rows is not None
    counts = pd.read_csv(faces.rows)["status"].value_counts().to_dict()
    (row,) = faces.table.to_dict("records")
    assert (row["rows"], {name: row[name] for name in counts}) == (6, counts)


def test_a_data_set_is_cropped_with_its_labels(tmp_path: Path) -> None:
    root = write_disfa(tmp_path / "disfa", ["SN001", "SN002"], 8)
    faces = faceflow.crop([*MARKERS, *UNSTEADIED], dataset="disfa", root=root, folds=2, output=tmp_path / "out")
    assert faces.labels is not None
    assert len(pd.read_csv(faces.labels)) == len(faces.crops)
    assert faces.table["rows"].tolist() == [8, 8]


def test_crops_are_packed(faces: Faces, tmp_path: Path) -> None:
    packed = faceflow.pack(labels=faces.csv, images=faces.images, output=tmp_path / "pack", shard_mb=0.01)
    rows = pd.read_csv(faces.csv)
    assert (packed.folder, packed.rows, packed.features) == (tmp_path / "pack", len(rows), 0)
    assert packed.pictures == rows["filename"].nunique()
    assert packed.shards == len(list(packed.folder.glob("*.arrow"))) > 1


MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "key": (lambda to: faceflow.train(["seeed=1"]), ConfigError, "seeed: expected a known key at the top level"),
    "option": (lambda to: faceflow.train(model="resnt18"), ConfigError, "model=resnt18: expected an option of 'model'"),
    "value": (
        lambda to: faceflow.train(output=to, seed=-1),
        ConfigError,
        "seed: expected a whole number in 0..4294967",
    ),
    "sweep": (lambda to: faceflow.train(["seed=0,1"]), ConfigError, "'seed=0,1': expected one value, got several"),
    "flag": (lambda to: faceflow.train(["-m"]), ConfigError, "'-m': expected key=value, got text that Hydra"),
    "devices": (
        lambda to: faceflow.train(["trainer.devices=2"], output=to),
        ConfigError,
        "trainer.devices: expected 1 from Python, got 2; run faceflow-train for several",
    ),
    "labels": (
        lambda to: faceflow.train(data="csv", labels="none.csv", output=to),
        DataError,
        "data.sources.csv.labels: expected a CSV file, got 'none.csv'",
    ),
    "checkpoint": (
        lambda to: faceflow.test(checkpoint="no.ckpt", output=to),
        CheckpointError,
        "checkpoint: expected a",
    ),
    "missing": (lambda to: faceflow.export(checkpoint="a.ckpt"), ConfigError, "output: expected a value, got none"),
    "format": (
        lambda to: faceflow.export(checkpoint="a.ckpt", output=to / "a.pt"),
        ConfigError,
        "output: expected the name of a .onnx file",
    ),
    "source": (lambda to: faceflow.crop(output=to / "o"), ConfigError, "source: expected files to crop, got none"),
    "pack": (
        lambda to: faceflow.pack(labels="none.csv", output=to / "o"),
        DataError,
        "labels: expected a CSV file, got",
    ),
    "model": (lambda to: faceflow.load(to / "a.onnx"), ExportError, "onnx: expected an ONNX model, got"),
    "no folder": (
        lambda to: faceflow.train(config_dir=""),
        ConfigError,
        "config_dir: expected a file or folder, got no",
    ),
    "output": (
        lambda to: faceflow.train(output=""),
        ConfigError,
        "hydra.run.dir: expected a file or folder, got nothing",
    ),
    "number": (lambda to: faceflow.train(data=3), ConfigError, "data: expected an option or a list of options, got 3"),  # type: ignore[arg-type]
    "set of AUs": (lambda to: faceflow.train(aus="AU6"), ConfigError, "aus: expected a named set of AUs"),
    "section": (lambda to: faceflow.train(["loader=4"]), ConfigError, "loader: expected its keys"),
    "folder": (
        lambda to: faceflow.train(config_dir=to / "no"),
        ConfigError,
        "config_dir: expected a folder of configs",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_raised_in_one_line_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    call, kind, line = MISTAKES[name]
    before = process_state()
    with pytest.raises(kind) as caught:
        call(tmp_path)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert process_state() == before
    assert not (tmp_path / "checkpoints").exists()


def test_one_text_in_place_of_overrides_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="overrides: expected a list of strings, got one string; write"):
        faceflow.train("seed=1")


@pytest.mark.slow
def test_results_are_kept_unless_overwritten(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    tested = {"checkpoint": trained.checkpoint(), "data": "csv", "labels": faces.csv, "images": faces.images}
    settings: dict[str, Any] = {**tested, "output": tmp_path / "test", "workers": 0, "accelerator": "cpu"}
    first = faceflow.test(["pictures=false", "bootstrap.resamples=0"], **settings)
    with pytest.raises(ConfigError, match=r"expected a folder without results, got '.*test' with metrics\.json"):
        faceflow.test(**settings)
    again = faceflow.test(["pictures=false", "bootstrap.resamples=0"], overwrite=True, **settings)
    pd.testing.assert_frame_equal(first.table, again.table)
