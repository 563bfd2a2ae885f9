from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from faceflow.config.paths import config_dir
from faceflow.config.stored import store_config, stored_config


def composed(output: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", overrides=[f"paths.output={output}", *overrides])


def test_repeated_run_has_the_same_config_in_a_folder_of_its_own(tmp_path: Path) -> None:
    choices = ["data=disfa", "aus=disfa8", "model=resnet18", "loss=focal", "seed=3", "split.val=0.3"]
    store_config(stored_config(composed(tmp_path / "first", *choices)), tmp_path / "first")
    output = f"paths.output={tmp_path}/second"
    arguments = ["--config-dir", f"{tmp_path}/first", "--config-name", "config", "--cfg", "job", "--resolve", output]
    command = [sys.executable, "-c", "from faceflow.cli.train import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    expected: Any = OmegaConf.to_container(composed(tmp_path / "second", *choices), resolve=True)
    assert yaml.safe_load(done.stdout) == expected
    assert expected["callbacks"]["best"]["dirpath"] == f"{tmp_path}/second/checkpoints"


def test_command_to_repeat_the_run_is_the_first_line(tmp_path: Path) -> None:
    store_config(stored_config(composed(tmp_path / "run")), tmp_path / "run")
    first = (tmp_path / "run" / "config.yaml").read_text("utf-8").splitlines()[0]
    assert first == f"# Repeat this run: faceflow-train --config-dir {tmp_path}/run --config-name config"


def test_folder_whose_name_only_begins_like_the_run_is_left_alone(tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "run_data"
    resolved = stored_config(composed(run, "data=csv", f"data.labels={data}/a.csv", f"data.images={run}/crops"))
    assert resolved["data"]["labels"] == f"{data}/a.csv"
    assert resolved["data"]["images"] == "${paths.output}/crops"


def test_result_is_plain_and_says_what_the_file_says(tmp_path: Path) -> None:
    resolved = stored_config(composed(tmp_path))
    store_config(resolved, tmp_path)
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))
    stored.pop("defaults")
    assert stored == resolved
    assert resolved["paths"]["output"] == "${hydra:runtime.output_dir}"
    assert resolved["method"]["supervised"]["criterion"]["_target_"] == "faceflow.losses.bce.BCE"  # resolved


def test_only_the_whole_file_is_left_in_the_folder(tmp_path: Path) -> None:
    stored = stored_config(composed(tmp_path / "run"))
    for _ in range(2):
        store_config(stored, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_value_that_the_user_must_give_stops_it(tmp_path: Path) -> None:
    with pytest.raises(MissingMandatoryValue):
        stored_config(composed(tmp_path / "run", "model=default"))
