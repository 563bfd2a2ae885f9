"""Metadata of an exported model, from the checkpoint and the metrics.json of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faceflow.exporting.description import describe_model
from faceflow.models.checkpoint import Payload
from tests.helpers.networks import network_spec

RECORD = {
    "checkpoint": "/gone/checkpoints/best.ckpt",
    "monitor": {},
    "test": {"a": {"summary": {"f1_val": 0.1}}, "all": {"summary": {"f1_val": 0.5, "icc": None, "valid_aus": 2}}},
    "run": {"data": {"train": {"faces": {"content": "c0"}, "older": {"sha256": "5a"}}}},
}


def payload(*, levels: int = 1, **changes: Any) -> Payload:
    values: dict[str, Any] = {
        **{"spec": network_spec(levels=levels), "protocol": {"labels": "FACS"}, "seen": [], "config": {}},
        **{"versions": {"faceflow": "0.2.0"}, "thresholds": {"AU1": 0.25}, "run": {"id": "r1"}},
    }
    return Payload(**(values | changes))


def described(folder: Path, known: Payload, record: object = RECORD) -> Any:
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(record), "utf-8")
    checkpoint = folder / "checkpoints/best.ckpt"
    return describe_model(known, checkpoint, precision="int8", crop={"align": {}}, licence="none")


def test_a_file_says_what_its_checkpoint_and_its_run_said(tmp_path: Path) -> None:
    says = described(tmp_path, payload())
    assert (says.aus, says.thresholds, says.precision) == (("AU1", "AU12"), {"AU1": 0.25}, "int8")
    assert says.run == {"faceflow": "0.2.0", "id": "r1"}
    assert says.metrics == {"f1_val": 0.5, "valid_aus": 2.0}  # of all data sets together; no undefined ones
    assert says.training_data == {"faces": "c0", "older": "5a"}
    assert says.label_meaning == "probability: that the AU occurs (FACS)"


def test_levels_say_which_of_them_is_occurrence(tmp_path: Path) -> None:
    says = described(tmp_path, payload(levels=5, training_data={"own": "7"}))
    assert says.label_meaning == "probability: of an intensity >= 2; intensity: expected, FACS 0-5 (FACS)"
    assert says.training_data == {"own": "7"}  # of the checkpoint, where it knows them


def test_metrics_of_thresholds_that_are_outdated_are_left_out(tmp_path: Path) -> None:
    assert described(tmp_path, payload(outdated=True)).metrics == {}


@pytest.mark.parametrize(
    "record",
    [{**RECORD, "checkpoint": "last.ckpt"}, {key: RECORD[key] for key in ("checkpoint", "test")}, [], {"monitor": 1}],
)
def test_a_record_of_something_else_is_not_read(record: object, tmp_path: Path) -> None:
    says = described(tmp_path, payload(), record)
    assert (says.metrics, says.training_data) == ({}, {})
