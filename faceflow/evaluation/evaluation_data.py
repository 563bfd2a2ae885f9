"""The faces that a network is tested on, from plain values of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceflow.config.instantiate import instantiate
from faceflow.data.assembly import read_tables
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.views import EVAL


def read_faces(data: Mapping[str, Any], *, levels: int) -> list[FaceTable]:
    """Read the data sets of a `data` config, drawing synthetic ones first.

    Raises:
        ConfigError, DataError: see `read_tables`.
    """
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    return read_tables(data["sources"], levels=levels)


def eval_pipeline(transforms: Mapping[str, Any]) -> Pipeline:
    """Evaluation transform of a `transforms` config."""
    return build_pipeline(transforms[EVAL], key=f"transforms.{EVAL}")
