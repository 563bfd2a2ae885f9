"""The faces that a finished network is tested on: read by the config, without the persons it knows."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.artifacts.checkpoint import Payload
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.data.assembly import read_tables
from faceflow.data.sources import FaceTable
from faceflow.data.splits import without_persons
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import DataError
from faceflow.training.build import EVAL

log = logging.getLogger(__name__)


def read_faces(cfg: DictConfig, *, levels: int) -> list[FaceTable]:
    """Read the data sets of a config, drawing synthetic ones first.

    Raises:
        ConfigError, DataError: see `read_tables`.
    """
    data = plain_dict(cfg.data)
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    return read_tables(data["sources"], levels=levels)


def unseen_faces(
    tables: list[FaceTable], payload: Payload, *, everybody: bool
) -> tuple[list[FaceTable], dict[str, str]]:
    """Leave out the persons of training and validation, and say so for the protocol.

    Raises:
        DataError: nobody is left.
    """
    kept = tables if everybody else [without_persons(table, set(payload.seen)) for table in tables]
    left_out = sum(map(len, tables)) - sum(map(len, kept))
    if not any(map(len, kept)):
        raise DataError(
            f"data: expected persons that the checkpoint has not seen, got none ({left_out} images of training and "
            "validation persons left out); test other data, or subset=all for a number that says nothing of new faces"
        )
    if left_out:
        log.warning("left out %d images of persons that the checkpoint was trained or validated on", left_out)
        return [table for table in kept if len(table)], {"left out": f"{left_out} images of seen persons"}
    overlap = everybody and any(set(table.persons) & set(payload.seen) for table in tables)
    return kept, {"caution": "includes persons seen in training or validation"} if overlap else {}


def eval_pipeline(cfg: DictConfig, image_size: int) -> Pipeline:
    """Evaluation transform at the size of a network."""
    steps: dict[str, Any] = plain_dict(sized(cfg, image_size).transforms)[EVAL]
    return build_pipeline(steps, key=f"transforms.{EVAL}")


def sized(cfg: DictConfig, image_size: int) -> DictConfig:
    """Config of a command without `model`, with the size that its transforms refer to."""
    merged = OmegaConf.merge(OmegaConf.create({"model": {"image_size": image_size}}), cfg)
    assert isinstance(merged, DictConfig)
    return merged
