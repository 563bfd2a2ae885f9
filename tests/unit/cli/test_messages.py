"""Real mistakes, made to the real configs, and the one line that each of them gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch._utils import ExceptionWrapper

from faceflow.cli.messages import one_line
from faceflow.config.instantiate import plain_dict
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError, DataError

MISTAKES = (HydraException, OmegaConfBaseException)


def mistake(*overrides: str, entry: str = "train", then: Callable[[DictConfig], Any] | None = None) -> str:
    """Line for what composing a command raises, or else what using the config raises."""

    def run() -> None:
        folder = ["paths.output=/out"] if entry == "train" else []
        cfg = compose(entry, overrides=[*folder, *overrides])
        if then is not None:
            then(cfg)

    with initialize_config_dir(config_dir(), version_base="1.3"), pytest.raises(MISTAKES) as caught:
        run()
    line = one_line(caught.value)
    assert "\n" not in line
    return line


def resolve(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg.data, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "optimizer.lrr=1",
            "ConfigError: optimizer.lrr: expected a known key in 'optimizer', got 'lrr'; did you mean 'lr'?",
        ),
        (
            "sed=1",
            "ConfigError: sed: expected a known key at the top level, got 'sed'; did you mean 'seed'?",
        ),
        (
            "experimnt=quickstart",
            "ConfigError: experimnt: expected a known key at the top level, got 'experimnt'; "
            "did you mean 'experiment'?",
        ),
        (
            "method.fixmatch.p_cutof=0.9",
            "ConfigError: method.fixmatch: expected a known key in 'method', got 'fixmatch'; known: supervised",
        ),
        (
            "seed.value=1",
            "ConfigError: seed.value: expected a known key in 'seed', got 'value'; 'seed' has no keys",
        ),
        (
            "loss=bec",
            "ConfigError: loss=bec: expected an option of 'loss'; did you mean 'bce'?",
        ),
        (
            "model=resnt18",
            "ConfigError: model=resnt18: expected an option of 'model'; did you mean 'resnet18' or 'resnet50'?, "
            "or model=default model.backbone=resnt18 for any other timm network",
        ),
        (
            "data=[disfa,bpd4]",
            "ConfigError: data=bpd4: expected an option of 'data'; did you mean 'bp4d'?",
        ),
        (
            "transforms=weak",
            "ConfigError: transforms: expected the place of the group as well; use transforms@transforms.eval or "
            "transforms@transforms.labeled or transforms@transforms.strong or transforms@transforms.weak",
        ),
        (
            "aus.names=[AU1",
            "ConfigError: 'aus.names=[AU1': expected key=value, got a text that cannot be read; "
            "quote lists: 'key=[a,b]'",
        ),
        (
            "quickstart",
            "ConfigError: 'quickstart': expected key=value, got a text that cannot be read; quote lists: 'key=[a,b]'",
        ),
    ],
)
def test_override_that_does_not_fit(override: str, line: str) -> None:
    assert mistake(override) == line


@pytest.mark.parametrize(
    ("entry", "overrides", "use", "key"),
    [
        ("export", [], lambda cfg: cfg.checkpoint, "checkpoint"),
        ("train", ["model=default"], lambda cfg: cfg.model.backbone, "model.backbone"),
        (
            "train",
            ["model=default"],
            lambda cfg: plain_dict(cfg.model),
            "model.backbone",
        ),  # met in a part of the config
        ("train", ["data=csv"], resolve, "data.labels"),  # met through an interpolation
        ("train", ["data=csv"], lambda cfg: cfg.data.sources.csv.labels, "data.labels"),
        ("train", ["data=csv_splits"], lambda cfg: cfg.data.sources.csv.train, "data.train"),
    ],
)
def test_value_that_the_user_must_give(
    entry: str, overrides: list[str], use: Callable[[DictConfig], Any], key: str
) -> None:
    line = mistake(*overrides, entry=entry, then=use)
    assert line == f"ConfigError: {key}: expected a value, got none; add {key}=... to the command"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed=${nope}", "ConfigError: seed: Interpolation key 'nope' not found"),
        ("seed=${split.nope}", "ConfigError: seed: Interpolation key 'split.nope' not found"),
        (
            "seed=${oc.env:FACEFLOW_NOT_SET}",
            "ConfigError: seed: KeyError raised while resolving interpolation: "
            "\"Environment variable 'FACEFLOW_NOT_SET' not found\"",
        ),
    ],
)
def test_interpolation_that_leads_nowhere(override: str, line: str) -> None:
    assert mistake(override, then=lambda cfg: cfg.seed) == line


def test_config_file_that_does_not_exist() -> None:
    line = mistake(entry="trian")
    assert line == "ConfigError: trian: expected a config file, got none of that name; check --config-name"


@pytest.mark.parametrize("error", [ConfigError("seed: expected 1,\n  got 2"), DataError("a.csv:3: expected a number")])
def test_messages_of_our_own_stay_as_they_are_in_one_line(error: Exception) -> None:
    assert one_line(error) == f"{type(error).__name__}: {' '.join(str(error).split())}"


def test_system_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "no.csv").read_text()
    assert one_line(caught.value) == (
        f"FileNotFoundError: {tmp_path}/no.csv: No such file or directory; check the path, its rights and the disk"
    )


def as_a_worker_sends_it(error: Exception) -> ExceptionWrapper:
    """What a process of torch's DataLoader sends home; a real one takes 5 s to shut down after an error."""
    try:
        raise error
    except type(error):
        return ExceptionWrapper(where="in DataLoader worker process 0")


def test_error_of_a_loader_process_loses_its_traceback() -> None:
    line = "faces.csv:7: expected an image, got a truncated file: 'a.jpg'; mend it"
    with pytest.raises(DataError) as caught:
        as_a_worker_sends_it(DataError(line)).reraise()
    assert "Traceback" in str(caught.value)
    assert one_line(caught.value) == f"DataError: {line}"
