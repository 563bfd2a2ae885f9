"""Trackers in real use: a complete offline run, what it does not upload, and what remains after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from faceflow.images import read_image
from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset
from tests.helpers.wandb_files import OfflineRun, offline_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),  # MLflow's own queries
]
ROOT = Path(__file__).parents[2]
AUS = ["AU6", "AU12"]
SMALL = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    "model.image_size=32",
    "loader.workers=0",
    "loader.batch_size=8",
    "trainer=cpu",
    "trainer.enable_progress_bar=false",
    "split.val=0.3",
    "split.test=0.2",
)


@pytest.fixture(scope="module", autouse=True)
def nobody_is_logged_in(tmp_path_factory: pytest.TempPathFactory):
    """Environment of the commands, without the account and home folder of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
            patch.delenv(name)
        for name in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR"):
            patch.setenv(f"WANDB_{name}", str(home))
        patch.setenv("NETRC", str(home / "netrc"))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = write_csv_dataset(tmp_path_factory.mktemp("data") / "faces", aus=AUS, subjects=10, frames=4)
    return "data=csv", f"data.labels={folder / 'labels.csv'}", f"data.images={folder / 'images'}"


@pytest.fixture(scope="module")
def tracked(data: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of two epochs with three trackers, and its output."""
    root = tmp_path_factory.mktemp("tracked")
    done = run_command(
        "train",
        *SMALL,
        *data,
        "trainer.max_epochs=2",
        "logger=[tensorboard,wandb,mlflow]",
        f"paths.runs={root}",
        f"hydra.run.dir={root / 'run'}",
    )
    assert "wandb sync" in done.stderr
    assert "wandb" not in done.stdout
    return root, done.stderr


def rows(artifact: object) -> dict[str, str]:
    return {entry.path: entry.local_path for entry in artifact.manifest.contents}  # type: ignore[attr-defined]


def only(run: OfflineRun, kind: str) -> Mapping[str, str]:
    (artifact,) = run.artifacts(kind)
    return rows(artifact)


def test_an_offline_run_holds_tables_plots_and_artifacts_but_no_picture(tracked: tuple[Path, str]) -> None:
    folder = tracked[0] / "run"
    (run,) = offline_runs(folder)
    assert run.exit_codes == [0]
    assert [table["data"][0][0] for table in run.tables("samples")] == [0, 1]
    assert [len(table["data"]) for table in run.tables("samples")] == [12, 12]  # all of 3 subjects
    faces = [sorted(row[1] for row in table["data"]) for table in run.tables("samples")]
    assert faces[0] == faces[1]
    assert {"test/precision_recall", "test/prevalence"} < run.charts()
    assert run.pictures() == []
    assert list(folder.glob("*.png")), "the pictures on disk do not depend on trackers"

    assert only(run, "model") == {"best.ckpt": str(folder / "checkpoints" / "best.ckpt")}
    assert only(run, "config") == {"config.yaml": str(folder / "config.yaml")}
    assert set(only(run, "results")) == {"metrics.csv", "metrics.json", "per_au.csv", "predictions.csv"}
    split = pd.read_csv(only(run, "split")["split.csv"])
    assert split["split"].value_counts().to_dict() == {"train": 20, "val": 12, "test": 8}
    (dataset,) = run.artifacts("dataset")
    assert [entry.ref.endswith("labels.csv") for entry in dataset.manifest.contents] == [True]

    measured = pd.read_csv(folder / "metrics.csv")
    assert run.history("train/lr") == pytest.approx(measured["train/lr"].tolist())
    assert len(run.history("train/images_per_second")) == 2
    scores = json.loads((folder / "metrics.json").read_text())["test"]["faces"]["summary"]
    assert run.summary()["test/ap"] == pytest.approx(scores["ap"])
    assert run.config["model"]["backbone"] == "test_resnet"


def test_mlflow_holds_parameters_metrics_and_files(tracked: tuple[Path, str]) -> None:
    root, _ = tracked
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("faceflow").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["model/backbone"] == "test_resnet"
    scores = json.loads((root / "run" / "metrics.json").read_text())["test"]["faces"]["summary"]
    assert run.data.metrics["test/ap"] == pytest.approx(scores["ap"])
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
        "checkpoint",
        "config",
        "results",
        "split",
    }
    assert not [file.path for file in client.list_artifacts(run.info.run_id, "results") if file.path.endswith(".png")]


@pytest.mark.release
def test_an_exported_file_joins_the_run_and_a_test_is_a_run_of_its_own(
    tracked: tuple[Path, str], data: tuple[str, ...]
) -> None:
    root, _ = tracked
    checkpoint = root / "run" / "checkpoints" / "best.ckpt"
    run_command("export", f"checkpoint={checkpoint}", f"output={root / 'model.onnx'}", "track=true", "simplify=false")
    first, second = offline_runs(root / "run")
    assert second.run.run_id == first.run.run_id
    assert second.run.display_name == first.run.display_name
    (model,) = second.artifacts("model")
    assert set(rows(model)) == {"model.onnx"}

    where = (f"hydra.run.dir={root / 'test'}", f"paths.runs={root}", "loader.workers=0", "accelerator=cpu")
    run_command("test", f"checkpoint={checkpoint}", *data, "logger=wandb", *where)
    (tested,) = offline_runs(root / "test")
    assert tested.run.job_type == "test"
    assert tested.summary()["test/ap"] == pytest.approx(first.summary()["test/ap"])
    assert tested.pictures() == []


@pytest.mark.release
def test_with_log_images_the_faces_are_in_the_table(data: tuple[str, ...], tmp_path: Path) -> None:
    settings = ("trainer.max_epochs=1", "logger=wandb", "logger.wandb.samples=3", "log_images=true")
    run_command("train", *SMALL, *data, *settings, f"hydra.run.dir={tmp_path}")
    (run,) = offline_runs(tmp_path)
    (table,) = [artifact for artifact in run.artifacts("run_table") if artifact.name.endswith("-samples")]
    pictures = [Path(local) for path, local in rows(table).items() if path.endswith(".png")]
    assert [read_image(picture).shape for picture in pictures] == [(32, 32, 3)] * 3
    assert all(read_image(picture).std() > 5 for picture in pictures), "as the eye sees them, not normalised to black"
    assert "results.png" in run.pictures()


@pytest.mark.release
def test_a_server_out_of_reach_turns_the_run_offline_and_training_continues(
    data: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    settings = ("trainer.max_epochs=1", "pictures=false", "logger=wandb", "logger.wandb.init_timeout=2")
    done = run_command("train", *SMALL, *data, *settings, f"hydra.run.dir={tmp_path}")
    lines = done.stderr.splitlines()
    assert len([line for line in lines if "logger.wandb: the server did not accept the run" in line]) == 1
    assert not [line for line in lines if line.startswith("wandb:")]
    run = offline_runs(tmp_path)[-1]
    assert run.exit_codes == [0]
    assert f"wandb sync {run.folder}" in done.stderr
    assert only(run, "model") == {"best.ckpt": str(tmp_path / "checkpoints" / "best.ckpt")}


@pytest.mark.release
def test_the_sweep_of_the_how_to_lands_in_the_agents_run_as_does_its_export(
    data: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line that W&B's agent makes of it, with the variables that its agent sets."""
    text = (ROOT / "configs" / "logger" / "README.md").read_text("utf-8")
    sweep = yaml.safe_load(re.search(r"```yaml\n(method: .*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    chosen = {"optimizer.lr": {"value": 0.0003}, "loss": {"value": "focal"}}
    assert set(sweep["parameters"]) == set(chosen)
    arguments = create_sweep_command_args({"args": chosen})["args_no_hyphens"]
    (program, *line), place = create_sweep_command(sweep["command"]), sweep["command"].index("${args_no_hyphens}") - 1
    line[place : place + 1] = arguments
    line[line.index("data=disfa")] = data[0]
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({"wandb_version": 1, **chosen}))
    agent = {"WANDB_RUN_ID": "k3x9", "WANDB_SWEEP_ID": "s7w2", "WANDB_PROJECT": "aus", "WANDB_ENTITY": "team"}
    for name, value in {**agent, "WANDB_SWEEP_PARAM_PATH": parameters, "WANDB_DIR": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    run_command(
        *(program.removeprefix("faceflow-"), *line, *data[1:], *SMALL),
        *("trainer.max_epochs=1", "pictures=false", f"hydra.run.dir={tmp_path}/run"),
    )
    (run,) = offline_runs(tmp_path)
    assert (run.run.run_id, run.run.sweep_id, run.run.project, run.run.entity) == ("k3x9", "s7w2", "aus", "team")
    assert run.config["optimizer"]["lr"] == 0.0003
    assert run.history(sweep["metric"]["name"])

    for name in agent:
        monkeypatch.delenv(name)
    checkpoint = f"checkpoint={tmp_path}/run/checkpoints/best.ckpt"
    run_command("export", checkpoint, f"output={tmp_path}/model.onnx", "track=true", "simplify=false")
    (_, exported) = offline_runs(tmp_path)
    assert (exported.run.run_id, exported.run.project, exported.run.entity) == ("k3x9", "aus", "team")
    assert [artifact.type for artifact in exported.artifacts("model")] == ["model"]


@pytest.mark.release
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_a_closed_run_that_continues_under_its_id(data: tuple[str, ...], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    command = [str(Path(sys.executable).with_name("faceflow-train")), *SMALL, *data, "logger=[wandb,mlflow]"]
    command += [f"paths.runs={tmp_path}", "trainer.max_epochs=1000"]
    process = subprocess.Popen(
        [*command, f"hydra.run.dir={first}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 300  # other tests may use all cores
        while not (first / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process, W&B's own too
        _, stderr = process.communicate(timeout=60)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr
    (stopped,) = offline_runs(first)
    assert stopped.exit_codes == [130]
    assert stopped.tables("samples")

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("faceflow").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "KILLED"

    last = first / "checkpoints" / "last.ckpt"
    done = len(pd.read_csv(first / "metrics.csv"))
    resumed = (*command[1:-1], f"trainer.max_epochs={done + 1}", f"resume={last}", f"hydra.run.dir={second}")
    run_command("train", *resumed)
    (again,) = offline_runs(second)
    assert again.run.run_id == stopped.run.run_id
    assert again.exit_codes == [0]
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
