from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from faceflow.errors import ConfigError
from faceflow.tracking.mlflow_tracker import MLflowTracker
from faceflow.tracking.tracker import Outcome, TrackedRun, tracked

# SQLAlchemy 2.1 of MLflow's own queries.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def tracker(folder: Path, address: str | None = None) -> MLflowTracker:
    kept = ["results"]
    return MLflowTracker(
        experiment="tests", tracking_uri=address, folder=str(folder), artifact_location=None, artifacts=kept
    )


def described(folder: Path, continues: Path | None = None) -> TrackedRun:
    return TrackedRun(
        name="0_supervised",
        group="sweep_7",
        job_type="train",
        folder=folder,
        continues=continues,
        config={"seed": 3, "model": {"backbone": "test_resnet"}},
        datasets={},
        log_images=False,
    )


def test_a_local_run_holds_parameters_metrics_files_and_how_it_ended(tmp_path: Path) -> None:
    store, first, second = tmp_path / "runs", tmp_path / "first", tmp_path / "second"
    stopped = tracker(store)
    with pytest.raises(KeyboardInterrupt), tracked([stopped], described(first)):  # noqa: PT012
        stopped.log_metrics({"val/f1_val": np.float64(0.5)}, step=7)
        raise KeyboardInterrupt
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.status == "KILLED"
    assert (run.info.run_name, run.data.tags["group"], run.data.tags["job_type"]) == (
        "0_supervised",
        "sweep_7",
        "train",
    )
    assert run.data.params["model/backbone"] == "test_resnet"

    second.mkdir()
    (second / "metrics.json").write_text("{}")
    resumed = tracker(store)
    with tracked([resumed], described(second, continues=first)):
        file = [second / "metrics.json"]
        resumed.log_outcome(Outcome(scores={"test/f1_val": 0.75}, files={"results": file, "split": file}))
    (run,) = client.search_runs([run.info.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"val/f1_val": 0.5, "test/f1_val": 0.75}
    (point,) = client.get_metric_history(run.info.run_id, "val/f1_val")
    assert point.step == 7
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["results"]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "results")] == ["results/metrics.json"]
    assert not Path("mlruns").exists()


def test_an_address_that_mlflow_cannot_open_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="logger.mlflow.tracking_uri: expected an address .*, got 'nonsense://x'"):
        tracker(tmp_path, "nonsense://x")


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"])
def test_the_environment_decides_where_the_run_goes_and_what_is_noted(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path / 'theirs.db'}"
    client = MlflowClient(address)
    experiment = client.create_experiment("theirs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv(variable, "theirs" if variable.endswith("NAME") else experiment)
    with tracked([tracker(tmp_path, "sqlite:///ours.db")], described(tmp_path)):
        pass
    (run,) = client.search_runs([experiment])
    noted = json.loads((tmp_path / "tracking.json").read_text())["mlflow"]
    assert noted == {"id": run.info.run_id, "experiment": "theirs", "tracking_uri": address}
    assert not Path("ours.db").exists()


@pytest.mark.slow
def test_a_run_that_the_environment_names_is_used_keeps_its_parameters_and_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "runs"
    address = f"sqlite:///{store / 'mlflow.db'}"
    store.mkdir()
    client = MlflowClient(address)
    theirs = client.create_run(client.create_experiment("theirs")).info.run_id
    client.log_param(theirs, "seed", "theirs")  # as `mlflow run -P seed=theirs` does
    monkeypatch.setenv("MLFLOW_RUN_ID", theirs)
    with pytest.raises(ConfigError, match="MLFLOW_RUN_ID: expected a command that trains one run, got one of several"):
        tracker(store).begin(described(tmp_path))
    with tracked([tracker(store)], dataclasses.replace(described(tmp_path), group=None)):
        pass
    run = client.get_run(theirs)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "theirs", "model/backbone": "test_resnet"}
    assert run.data.tags["job_type"] == "train"

    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    again = MLflowTracker.reopen(tmp_path)
    assert again is not None
    with tracked([again], described(tmp_path, continues=tmp_path)):
        again.log_outcome(Outcome(scores={"test/f1_val": 0.75}))
    assert client.get_run(theirs).data.metrics == {"test/f1_val": 0.75}
    with pytest.raises(ConfigError, match="logger.mlflow: MLflow refused the run: .*not found"):
        tracker(store).begin(dataclasses.replace(described(tmp_path), group=None))
