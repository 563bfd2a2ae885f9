"""No telemetry: ONNX Runtime would leave a device id and queued events in the user's cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.exported import write_model
from tests.helpers.faces import write_image

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
# Any one of these disables telemetry of ONNX Runtime or MLflow.
SILENCERS = ("CI", "GITHUB_ACTIONS", "DO_NOT_TRACK", "ORT_RUNNING_UNIT_TESTS", "PYTEST_CURRENT_TEST")
SHOW = f"import json, os, faceflow; print(json.dumps({{name: os.environ[name] for name in {list(SWITCHES)}}}))"
LOAD = """
import sys, numpy as np, faceflow
print(len(faceflow.load(sys.argv[1], "crops=true").predict(np.zeros((16, 16, 3), np.uint8))))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def run_at(home: Path, *command: str | Path, **variables: str) -> str:
    """Run a command as a user with an empty home folder and no such variables set."""
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES and name not in SILENCERS}
    kept = {name: value for name, value in kept.items() if not name.startswith("XDG_")}
    environment = {**kept, "HOME": str(home), **variables}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_switch_is_set_before_anything_else_is_imported(home: Path) -> None:
    assert json.loads(run_at(home, sys.executable, "-c", SHOW)) == SWITCHES


def test_settings_of_the_user_are_kept(home: Path) -> None:
    theirs = dict.fromkeys(SWITCHES, "0")
    assert json.loads(run_at(home, sys.executable, "-c", SHOW, **theirs)) == theirs


@pytest.mark.slow
def test_a_model_loaded_in_python_leaves_nothing_at_home(home: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx")
    assert run_at(home, sys.executable, "-c", LOAD, model) == "1\n"
    assert files_in(home) == []


def test_faceflow_infer_leaves_nothing_at_home(home: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx")
    write_image(tmp_path / "face.png", np.full((16, 16, 3), 99, np.uint8))
    command = Path(sys.executable).with_name("faceflow-infer")
    run_at(home, command, f"onnx={model}", f"source={tmp_path}/face.png", "crops=true", f"output={tmp_path}/rows.csv")
    assert (tmp_path / "rows.csv").is_file()
    assert files_in(home) == []
