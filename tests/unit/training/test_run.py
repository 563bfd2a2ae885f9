"""A run is prepared and trained from plain values, without a config or command line."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pandas as pd
import pytest

from faceflow.data.protocols.protocol import Fold
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.errors import ConfigError
from faceflow.evaluation.advice import silence_advice
from faceflow.models.checkpoint import read_checkpoint
from faceflow.training.run import prepare_run, train_run
from faceflow.training.run_data import RunData, choose_data
from tests.helpers.contexts import run_context
from tests.helpers.faces import read_folder, write_csv_dataset
from tests.helpers.runs import data_settings, run_settings


@pytest.fixture(autouse=True)
def quiet() -> None:
    silence_advice()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """Five subjects on two images each; one validates and one is tested."""
    folder = write_csv_dataset(tmp_path_factory.mktemp("run") / "faces", aus=("AU1", "AU12"), subjects=5, frames=2)
    splits = make_splits([read_folder(folder)], SplitConfig(val=0.2, test=0.2, seed=0, labeled=1.0))
    return choose_data(Fold(name=None, splits=splits, rule="by hand", alone={}, legacy=False), data_settings())


def test_a_run_leaves_its_best_checkpoint_tested(data: RunData, tmp_path: Path) -> None:
    context = run_context(tmp_path / "run", seed=4)
    run = prepare_run(context, run_settings(context.output), data, start=None)
    assert run.counts.observed.tolist() == [6, 6]  # three subjects, two images each
    trained = train_run(run, command=context, started=time.time(), resume=None, mirror=None)
    assert trained is not None
    assert trained.checkpoint == context.output / "checkpoints" / "best.ckpt"
    _, payload = read_checkpoint(trained.checkpoint, key="checkpoint")
    assert payload.spec == run.spec
    assert payload.protocol["split"] == "by hand"
    record = json.loads((context.output / "metrics.json").read_text("utf-8"))
    assert record["monitor"] == {"metric": "val/f1_val", "best": pytest.approx(trained.best)}
    assert record["run"]["seed"] == 4
    tested = {str(subject) for table in data.streams["test"] for subject in table.subjects}
    assert set(pd.read_csv(context.output / "predictions.csv")["subject"]) == tested


def test_nothing_is_tested_where_it_is_not_asked_for(data: RunData, tmp_path: Path) -> None:
    context = run_context(tmp_path / "run")
    run = prepare_run(context, run_settings(context.output, test=False), data, start=None)
    assert train_run(run, command=context, started=time.time(), resume=None, mirror=None) is not None
    assert (context.output / "checkpoints" / "best.ckpt").is_file()
    assert not (context.output / "predictions.csv").exists()


def test_a_metric_that_nobody_computes_is_refused_before_training(data: RunData, tmp_path: Path) -> None:
    settings = dataclasses.replace(run_settings(tmp_path), monitor="val/f1_vall")
    with pytest.raises(ConfigError, match="monitor: expected a validation metric, got 'val/f1_vall'; did you mean"):
        prepare_run(run_context(tmp_path), settings, data, start=None)
