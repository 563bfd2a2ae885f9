"""The faces that a network is tested on, read by the config."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.data.assembly import read_tables
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import EVAL, Pipeline, build_pipeline


def read_faces(cfg: DictConfig, *, levels: int) -> list[FaceTable]:
    """Read the data sets of a config, drawing synthetic ones first.

    Raises:
        ConfigError, DataError: see `read_tables`.
    """
    data = plain_dict(cfg.data)
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    return read_tables(data["sources"], levels=levels)


def eval_pipeline(cfg: DictConfig, image_size: int) -> Pipeline:
    """Evaluation transform at the size of a network."""
    steps: dict[str, Any] = plain_dict(sized(cfg, image_size).transforms)[EVAL]
    return build_pipeline(steps, key=f"transforms.{EVAL}")


def sized(cfg: DictConfig, image_size: int) -> DictConfig:
    """Config of a command without `model`, with the size that its transforms refer to."""
    merged = OmegaConf.merge(OmegaConf.create({"model": {"image_size": image_size}}), cfg)
    assert isinstance(merged, DictConfig)
    return merged
