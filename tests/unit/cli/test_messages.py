"""Real mistakes in the real configs, and the one line that each gives."""

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
    line = one_line(caught.value, entry)
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
            "ConfigError: transforms: expected the group with its place; use transforms@transforms.eval or "
            "transforms@transforms.labeled or transforms@transforms.strong or transforms@transforms.weak",
        ),
        (
            "aus.names=[AU1",
            "ConfigError: 'aus.names=[AU1': expected key=value, got text that Hydra cannot read; "
            "quote spaces and lists: 'key=a b', 'key=[a,b]'",
        ),
        (
            "quickstart",
            "ConfigError: 'quickstart': expected key=value, got text that Hydra cannot read; "
            "quote spaces and lists: 'key=a b', 'key=[a,b]'",
        ),
    ],
)
def test_override_that_does_not_fit(override: str, line: str) -> None:
    assert mistake(override) == line


def test_a_key_that_is_misspelt_before_a_value_that_cannot_be_read() -> None:
    line = "ConfigError: sorce: expected a known key, got 'sorce'; did you mean 'source' or 'storage'?"
    assert mistake("sorce=[x].mp4", entry="crop") == line


def test_a_file_without_its_key_is_told_from_other_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my (1).mp4").touch()
    line = "give the file as the value of a key, such as 'source=my (1).mp4'"
    assert mistake("my (1).mp4", entry="infer").endswith(line)


@pytest.mark.parametrize(
    ("entry", "override", "line"),
    [
        (
            "crop",
            "overwrite=true",
            "overwrite: expected a known key at the top level, got 'overwrite', which belongs to faceflow-compare, "
            "faceflow-export, faceflow-infer, faceflow-test, faceflow-train; leave it out, or see faceflow-crop --help",
        ),
        (
            "test",
            "model=resnet18",
            "model: expected a config group or key, got 'model', which belongs to faceflow-infer, "
            "faceflow-train; leave it out, or see faceflow-test --help",
        ),
        (
            "export",
            "overwrte=true",
            "overwrte: expected a known key at the top level, got 'overwrte'; did you mean",
        ),
        (
            "crop",
            "overwrte=true",
            "overwrte: expected a known key at the top level, got 'overwrte'; known: align",
        ),
        ("train", "foo@bar=run", "foo: expected a config group, got 'foo'; known: "),
    ],
)
def test_only_what_this_command_takes_is_suggested(entry: str, override: str, line: str) -> None:
    assert mistake(override, entry=entry).startswith(f"ConfigError: {line}")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "method.fixmatch.cutoff_step=1",
            "method.fixmatch.cutoff_step: expected a known key in 'method.fixmatch', got one of an earlier version; "
            "adaptive cutoffs need no step; leave it out",
        ),
        (
            "output@hydra=run",
            "output: expected a config group, got 'output' of an earlier version; the group is named layout: "
            "layout@hydra",
        ),
        (
            "output=run",
            "output: expected a known key at the top level, got 'output' of an earlier version; the group is named "
            "layout: layout@hydra",
        ),
    ],
)
def test_an_old_spelling_names_the_new_one(override: str, line: str) -> None:
    given = ["method=fixmatch", override] if override.startswith("method") else [override]
    assert mistake(*given) == f"ConfigError: {line}"


def test_a_stored_config_leaves_no_choice_of_groups(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: {backbone: test_resnet}\n", encoding="utf-8")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "resnet18.yaml").write_text("backbone: resnet18\n", encoding="utf-8")
    with initialize_config_dir(str(tmp_path), version_base="1.3"), pytest.raises(HydraException) as caught:
        compose("config", overrides=["model=resnet18"])
    assert one_line(caught.value, "train") == (
        "ConfigError: model: expected a config group or key, got the group 'model', which cannot be chosen in this "
        "config; set keys, such as model.KEY=VALUE"
    )


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
    assert line == "ConfigError: trian: expected a config file, got none with this name; check --config-name"


@pytest.mark.parametrize("error", [ConfigError("seed: expected 1,\n  got 2"), DataError("a.csv:3: expected a number")])
def test_messages_of_our_own_stay_as_they_are_in_one_line(error: Exception) -> None:
    assert one_line(error, "train") == f"{type(error).__name__}: {' '.join(str(error).split())}"


def test_system_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "no.csv").read_text()
    assert one_line(caught.value, "train") == (
        f"FileNotFoundError: {tmp_path}/no.csv: No such file or directory; check the path, permissions and disk"
    )


def as_a_worker_sends_it(error: Exception) -> ExceptionWrapper:
    """What a process of torch's DataLoader sends home; a real one takes 5 s to shut down after an error."""
    try:
        raise error
    except type(error):
        return ExceptionWrapper(where="in DataLoader worker process 0")


def test_error_of_a_loader_process_loses_its_traceback() -> None:
    line = "faces.csv:7: expected an image, got a truncated file: 'a.jpg'; fix it"
    with pytest.raises(DataError) as caught:
        as_a_worker_sends_it(DataError(line)).reraise()
    assert "Traceback" in str(caught.value)
    assert one_line(caught.value, "train") == f"DataError: {line}"
