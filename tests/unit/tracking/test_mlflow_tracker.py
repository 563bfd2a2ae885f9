from __future__ import annotations

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
