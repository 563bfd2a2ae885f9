"""A plain value in place of a section is refused, and the section's keys are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.config.composition import check_overrides, compose
from faceflow.config.instantiate import plain_dict
from faceflow.errors import ConfigError

INFER = ("onnx=a.onnx", "output=-")


@pytest.mark.parametrize(
    ("command", "overrides", "line"),
    [
        ("infer", ["selection=all"], "selection: expected its keys (policy, hold, smooth, cuts), got all; *"),
        ("infer", ["frames=5"], "frames: expected its keys (every, start_s, end_s), got 5; *"),
        ("infer", ["selection=null"], "selection: expected its keys (policy, hold, smooth, cuts), got null; *"),
        ("infer", ["selection=[1,2]"], "selection: expected its keys (policy, hold, smooth, cuts), got [1,2]; *"),
        ("infer", ["smooth=1", "++selection=all", "frames.every=2"], "selection: expected its keys *"),
        ("crop", ["image=png"], "image: expected its keys (format, quality), got png; *"),
        (
            "train",
            ["augment=medium", "transforms.labeled.affine=3"],
            "transforms.labeled.affine: expected its keys (_target_, scale, keep_ratio, translate_percent, rotate, "
            "interpolation, border_mode, p), got 3; set one of them, such as transforms.labeled.affine.scale=...",
        ),
        ("train", ["data.sources=null"], "data.sources: expected its keys (synthetic), got null; *"),
        ("train", ["data.sources.synthetic=3"], "data.sources.synthetic: expected its keys (labels, *"),
        ("train", ["data.unlabeled.own=3"], "data.unlabeled.own: expected its keys (path, *"),
        ("train", ["method=fixmatch", "method.fixmatch=3"], "method.fixmatch: expected its keys (_target_, *"),
    ],
)
def test_a_plain_value_is_refused(command: str, overrides: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(command, [*(INFER if command == "infer" else ()), *overrides])
    assert str(caught.value).startswith(line.removesuffix("*"))


def test_in_a_sweep_every_value_is_looked_at() -> None:
    with pytest.raises(ConfigError, match=r"^split: expected its keys \(val, test, seed, labeled\), got 0.2; set one"):
        check_overrides("train", ["split={val:0.1},0.2"], further_dir=None, sweeps=True)


def test_keys_components_and_other_values_can_be_set() -> None:
    config = compose("infer", [*INFER, "selection={hold:3}", "frames.every=2"])
    assert (config.selection.hold, config.selection.policy, config.frames.every) == (3, "track", 2)
    config = compose("train", ["transforms.labeled.affine=null", "unlabeled=faces", "optimizer.lr=1", "loss=focal"])
    assert config.transforms.labeled.affine is None
    assert config.unlabeled == "faces"
    config = compose("train", ["transforms.labeled=${transforms.strong}", "model.image_size=32"])
    assert plain_dict(config.transforms.labeled) == plain_dict(config.transforms.strong)


def test_a_file_of_the_user_cannot_replace_a_section_either(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    for value, got in (("4", "4"), ("null", "null"), ("some", "some")):
        (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\nloader: {value}\n", "utf-8")
        with pytest.raises(ConfigError, match="^loader: expected its keys .batch_size, mu, .*, got ") as caught:
            compose("train", ["experiment=mine"], further_dir=tmp_path)
        assert f"got {got}; set one of them, such as loader.batch_size=..." in str(caught.value)


def test_sections_of_ones_own_configs_are_known(tmp_path: Path) -> None:
    (tmp_path / "align").mkdir()
    (tmp_path / "align/mine.yaml").write_text("size: 3\ninner_part:\n  width: 4\n", "utf-8")
    with pytest.raises(ConfigError, match=r"^align.inner_part: expected its keys \(width\), got 3; set one"):
        compose("infer", [*INFER, "align=mine", "align.inner_part=3"], further_dir=tmp_path)
