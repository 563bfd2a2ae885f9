"""The file beside a table of predictions: which model made it, from which sources, and what its columns mean."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faceflow
from faceflow.built_in.models import built_in_name
from faceflow.conformal import COVERAGE
from faceflow.crop_statistics import QUANTILES, CropStatistics
from faceflow.files import whole_file
from faceflow.inference.columns import Table
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of
from faceflow.inference.event_table import EVENT_FIELDS
from faceflow.inference.frames import FoundSources
from faceflow.inference.onnx_model import OnnxModel
from faceflow.wheels import installed

FORMAT = 1

_PACKAGES = ("onnxruntime", "opencv-python-headless", "opencv-contrib-python", "numpy", "mediapipe")
_OF_MODEL = ("inputs", "features", "backbone", "precision", "image_size", "run", "licence")
AU_MEANINGS = {
    "AU.._prob": "probability that the AU occurs",
    "AU.._int": "intensity, 0-5",
    "AU..": "1 if the probability reaches the threshold",
    "_cal": "after calibration to the subject",
    "_smooth": "mean over neighbouring frames",
}
BAND_MEANINGS = {
    "AU.._unsure": "1 if the band of the AU does not confirm the decision; empty for an AU without a band",
    "AU.._int_low": "lower end of the intensity interval",
    "AU.._int_high": "upper end of the intensity interval",
}
CENTRED = "centred: the subject's median is subtracted and a constant of the AU is added; uses thresholds_cal"


def describe(
    model: OnnxModel,
    table: Table,
    found: FoundSources,
    *,
    crop: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    event_estimates: str | None,
    rows: int,
    complete: bool,
) -> dict[str, Any]:
    """Content of the description, enough to use the table without further information.

    Args:
        model: model that made the predictions.
        table: columns of the table.
        found: sources that were read.
        crop: how faces were found, chosen and cut; None if the images were crops already.
        settings: settings of this run, as plain data.
        event_estimates: suffix of the estimates from which events were found; None without events.
        rows: number of rows written.
        complete: whether the run finished.
    """
    contract = model.contract
    return {
        "format": FORMAT,
        "model": {
            "file": model.path.name,
            "built_in": built_in_name(model.path),
            "sha256": model.identity,
            **{key: getattr(contract, key) for key in _OF_MODEL},
            "training_data": contract.training_data,
            "metrics": contract.metrics,
            "protocol": contract.protocol,
            "crop_statistics": None if contract.crop_statistics is None else _known(contract.crop_statistics),
        },
        "aus": list(contract.aus),
        "label_meaning": contract.label_meaning,
        "levels": contract.levels,
        "thresholds": _thresholds(contract),
        **({"thresholds_cal": _thresholds(contract.centred)} if table.centred else {}),
        **({} if contract.conformal is None else {COVERAGE: contract.conformal.protocol}),
        "sources": [{"name": each.name, "fps": each.fps, "frames": each.count or None} for each in found.sources],
        "passed_over": dict(found.files.passed_over) if found.files else {},
        "crop": crop,
        "settings": settings,
        "columns": [column.name for column in table.columns],
        "meaning": {column.name: column.meaning for column in table.columns if column.meaning}
        | AU_MEANINGS
        | ({"_cal": CENTRED} if table.centred else {})
        | ({} if contract.conformal is None else BAND_MEANINGS),
        "events": None
        if event_estimates is None
        else {
            "of": f"AU..{event_estimates}",
            "meaning": {field.name: field.meaning for field in EVENT_FIELDS if field.meaning},
        },
        "rows": rows,
        "complete": complete,
        "provider": model.provider,
        "versions": {"faceflow": faceflow.__version__, "python": platform.python_version(), **installed(_PACKAGES)},
    }


def _known(statistics: CropStatistics) -> dict[str, Any]:
    limits = {name: [low, high if math.isfinite(high) else None] for name, (low, high) in statistics.limits.items()}
    return {**statistics.to_dict(), "at": list(QUANTILES), "limits": limits}


def _thresholds(contract: ModelContract) -> dict[str, float]:
    return {au: threshold_of(contract, au) for au in contract.aus}


def write_description(path: Path, content: Mapping[str, Any]) -> None:
    """Write a description as JSON.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=dict)
        partial.write_text(text + "\n", encoding="utf-8")
