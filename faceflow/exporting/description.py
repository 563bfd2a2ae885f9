"""Metadata of an exported file, collected from its checkpoint and the run it belongs to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceflow.encoding import occurrence_level
from faceflow.inference.contract import ModelContract
from faceflow.models.checkpoint import Payload


def describe_model(
    payload: Payload, checkpoint: Path, *, precision: str, crop: Mapping[str, Any] | None, licence: str
) -> ModelContract:
    """Fill the contract of an exported file.

    Args:
        payload: payload of the checkpoint.
        checkpoint: file of the checkpoint; the test metrics are in its run folder.
        precision: precision of the weights.
        crop: recipe by which training faces were cut.
        licence: note on permitted uses of the weights.
    """
    spec, (_, record) = payload.spec, run_of(checkpoint)
    run = {"faceflow": payload.versions.get("faceflow", "unknown"), **payload.run}
    return ModelContract(
        aus=spec.aus,
        levels=spec.levels,
        cutpoints=spec.cutpoints,
        occurrence_min=spec.occurrence_min,
        label_meaning=_meaning(payload),
        thresholds=payload.thresholds,
        centring=payload.centring,
        calibration=payload.calibration,
        conformal=payload.conformal,
        image_size=spec.image_size,
        mean=spec.mean,
        std=spec.std,
        crop=crop,
        crop_statistics=payload.crop_statistics,
        backbone=spec.backbone,
        inputs=spec.inputs,
        features=spec.to_dict().get("features", {}),
        fusion=spec.fusion,
        precision=precision,
        run=run,
        training_data=payload.training_data or _training_data(record),
        metrics={} if payload.outdated else _metrics(record),  # they score occurrence at the old level
        protocol=payload.protocol,
        licence=licence,
    )


def _meaning(payload: Payload) -> str:
    spec = payload.spec
    labels = payload.protocol.get("labels", "")
    kind = "probability" if payload.calibration is None else "calibrated probability"
    if spec.levels == 1:
        return f"{kind}: that the AU occurs ({labels or 'as labelled'})"
    cut = spec.cutpoints[occurrence_level(spec.cutpoints, spec.occurrence_min)]
    return f"{kind}: of an intensity >= {cut:g}; intensity: expected, FACS 0-5 ({labels})"


def run_of(checkpoint: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """Run folder of a checkpoint and its metrics.json; None and empty if missing or about another checkpoint."""
    for folder in (checkpoint.resolve().parent.parent, checkpoint.resolve().parent):
        try:
            record = json.loads((folder / "metrics.json").read_text("utf-8"))
            if Path(record["checkpoint"]).name == checkpoint.name and "monitor" in record:  # a training run's
                return folder, record
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None, {}


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """Test means over AUs; those of the pooled test if there are several data sets."""
    try:
        summary = list(record["test"].values())[-1]["summary"]
        return {
            str(name): float(value)
            for name, value in summary.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
    except (LookupError, TypeError, AttributeError):
        return {}


def _training_data(record: Mapping[str, Any]) -> dict[str, str]:
    try:
        sets = record["run"]["data"]["train"].items()
        return {str(name): str(data["content"] if "content" in data else data["sha256"]) for name, data in sets}
    except (LookupError, TypeError, AttributeError):
        return {}
