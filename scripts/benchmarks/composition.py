"""Options shared by `data` and `train`, and the config of `faceflow-train` that they select."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from faceflow.config.paths import config_dir

_SYNTHETIC_SUBJECTS = 180  # 60 of each domain


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the images and how they are loaded."""
    parser.add_argument("--labels", type=Path, metavar="CSV", help="label file; default: drawn faces")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="folder of the images; default: that of the CSV")
    parser.add_argument("--faces", type=int, default=5400, help="number of drawn faces; default: %(default)s")
    parser.add_argument("--size", type=int, default=112, help="input size in pixels; default: %(default)s")
    parser.add_argument("--batch", type=int, default=32, help="images per batch; default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of faceflow-train")


def whole_numbers(text: str) -> list[int]:
    """Parse comma-separated numbers, without repeats."""
    return list(dict.fromkeys(int(part) for part in text.split(",")))


def compose_config(options: argparse.Namespace, *overrides: str) -> DictConfig:
    """Compose the config that `faceflow-train` would use; the user's overrides come last."""
    common = [f"model.image_size={options.size}", f"loader.batch_size={options.batch}"]
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", overrides=[*_data(options), *common, *overrides, *options.overrides])


def _data(options: argparse.Namespace) -> list[str]:
    if options.labels is None:
        frames = math.ceil(options.faces / _SYNTHETIC_SUBJECTS)
        return ["data=synthetic", f"data.prepare.frames={frames}", "data.domains=[studio,webcam,infrared]"]
    images = options.images or options.labels.parent
    return ["data=csv", f"data.labels={_quoted(options.labels)}", f"data.images={_quoted(images)}"]


def _quoted(path: Path) -> str:
    return json.dumps(str(path.expanduser().absolute()), ensure_ascii=False)
