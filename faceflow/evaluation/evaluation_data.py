"""The faces that a network is tested on, from plain values of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceflow.config.instantiate import instantiate
from faceflow.data.assembly import read_tables
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.evaluation.audit import check_audit
from faceflow.metrics.audited import Audit
from faceflow.views import EVAL


def read_faces(data: Mapping[str, Any], *, levels: int, audit: Audit | None = None) -> list[FaceTable]:
    """Read the data sets of a `data` config with the columns of an audit; synthetic ones are drawn first.

    Raises:
        ConfigError, DataError: see `read_tables` and `check_audit`.
    """
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    tables = read_tables(data["sources"], levels=levels, attributes=() if audit is None else audit.columns)
    if audit is not None:
        check_audit(audit, tables)
    return tables


def eval_pipeline(transforms: Mapping[str, Any]) -> Pipeline:
    """Evaluation transform of a `transforms` config."""
    return build_pipeline(transforms[EVAL], key=f"transforms.{EVAL}")
