"""An empty string for a file or folder is refused by its key, wherever it comes from."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from faceflow.config.composition import compose
from faceflow.config.named_paths import check_named
from faceflow.config.run_folder import enter_folder
from faceflow.errors import ConfigError


@pytest.mark.parametrize(
    ("command", "overrides", "key"),
    [
        ("crop", ["source=a", "output="], "output"),
        ("crop", ["source=''", "output=b"], "source"),
        ("crop", ["source=[a,'']", "output=b"], "source"),
        ("infer", ["onnx=", "output=b"], "onnx"),
        ("export", ["checkpoint=", "output=b"], "checkpoint"),
        ("export", ["checkpoint=a", 'output=""'], "output"),
        ("train", ["data=csv", "data.labels="], "data.labels"),
        ("train", ["resume="], "resume"),
        ("train", ["paths.runs="], "paths.runs"),
        ("test", ["data=csv", "data.labels=a", "data.images="], "data.images"),
        ("sweep", ["folder="], "folder"),
    ],
)
def test_an_empty_path_is_refused(command: str, overrides: list[str], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(command, overrides)
    assert str(caught.value) == f"{key}: expected a file or folder, got nothing; name one, or drop the key"


def test_an_empty_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEFLOW_CACHE", "")
    line = "^paths.cache: expected a file or folder, got nothing; the environment variable FACEFLOW_CACHE is empty"
    with pytest.raises(ConfigError, match=line):
        compose("crop", ["output=a"])
    monkeypatch.setenv("FACEFLOW_CACHE", "x")
    assert compose("crop", ["output=a"]).paths.cache == "x"


def test_a_run_has_a_folder() -> None:
    config = compose("train", ["hydra.run.dir="])
    with pytest.raises(
        ConfigError, match="^hydra.run.dir: expected a file or folder, got nothing; name one, or drop the key"
    ):
        enter_folder(config)


def test_other_keys_can_be_empty() -> None:
    check_named(OmegaConf.create({"licence": "", "source": "a", "output": None, "unlabeled": []}))
