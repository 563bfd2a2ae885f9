"""`augment` sets the view of labelled faces; weak and strong views are unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from faceflow.config.paths import config_dir

SAME_AS = {"light": "weak", "medium": "medium", "strong": "strong"}


def transforms(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("train", overrides=["paths.output=/out", *overrides])
    plain: Any = OmegaConf.to_container(cfg.transforms, resolve=True)
    return dict(plain)


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    return transforms()


def test_by_default_labelled_faces_show_the_medium_view(default: dict[str, Any]) -> None:
    assert list(default) == ["labeled", "weak", "strong", "eval"]
    assert default["labeled"] == transforms("augment=medium")["labeled"] != default["weak"]


@pytest.mark.parametrize("option", SAME_AS)
def test_one_word_sets_the_labelled_view_alone(option: str, default: dict[str, Any]) -> None:
    file = OmegaConf.load(f"{config_dir()}/transforms/{SAME_AS[option]}.yaml")
    steps: Any = OmegaConf.create({"model": {"image_size": 112}, "transforms": {"labeled": file}})
    chosen = transforms(f"augment={option}", "method=fixmatch", "model.image_size=112")
    assert chosen.pop("labeled") == OmegaConf.to_container(steps.transforms.labeled, resolve=True)
    assert {name: list(chosen[name]) for name in chosen} == {name: list(default[name]) for name in chosen}


def test_values_of_the_chosen_option_can_be_set(default: dict[str, Any]) -> None:
    found = transforms("augment=medium", "transforms.labeled.affine.rotate=[-3,3]", "transforms.labeled.camera=null")
    assert found["labeled"]["affine"]["rotate"] == [-3, 3]
    assert found["labeled"]["camera"] is None
    assert {name: found[name] for name in ("weak", "strong", "eval")} == {
        name: default[name] for name in ("weak", "strong", "eval")
    }


def test_a_weak_view_of_its_own_leaves_labelled_faces_alone(default: dict[str, Any]) -> None:
    found = transforms("transforms.weak.affine.rotate=[-1,1]")
    assert found["weak"]["affine"]["rotate"] == [-1, 1]
    assert found["labeled"] == default["labeled"]


@pytest.mark.slow
def test_an_experiment_chooses_it_and_the_command_line_beats_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    experiment = "# @package _global_\ndefaults:\n  - override /augment: medium\n  - _self_\n"
    (tmp_path / "experiment/mine.yaml").write_text(experiment)
    own = (f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    medium, strong = transforms("augment=medium"), transforms("augment=strong")
    assert transforms(*own) == medium != strong
    assert transforms(*own, "augment=strong") == strong  # as a job of `-m augment=light,strong` gets it


def test_labelled_faces_can_show_any_other_pipeline() -> None:
    found = transforms("transforms@transforms.labeled=eval")
    assert found["labeled"] == found["eval"]
