"""Metadata that do not fit are refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faceflow.errors import ExportError
from faceflow.inference.contract import ModelContract
from tests.helpers.exported import contract, intensity_contract


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(contract().to_json()) | changes)


@pytest.mark.parametrize("says", [contract(), intensity_contract(crop=None)])
def test_what_was_written_is_read(says: ModelContract) -> None:
    assert ModelContract.from_json(says.to_json(), source="m.onnx") == says


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "got damaged metadata; export it again"),
        ("[]", "expected model format 1, got None; export it again"),
        (changed(format=2), "expected model format 1, got 2; update FaceFlow"),
        (changed(format=0), "got 0; export it again"),
        (changed(aus=["AU1", "AU99"]), "expected metadata that fit"),
        ("[" * 100_000, "got damaged metadata; export it again"),
        (changed(image_size=100_000), "got image_size 100000; export it again"),
        (changed(image_size=32.0), r"got image_size 32\.0"),
        (changed(thresholds={"AU25": 0.5}), r"got a threshold of 0\.5 for AU25"),
        (changed(thresholds={"AU1": "0.5"}), "got a threshold of '0.5' for AU1"),
        (changed(thresholds={"AU1": None}), "got a threshold of None for AU1"),
        (changed(thresholds={"AU1": float("nan")}), "got a threshold of nan for AU1"),
        (changed(thresholds={"AU1": 1.5}), r"got a threshold of 1\.5 for AU1"),
        (changed(run=7), "got run 7"),
        (changed(metrics=[1]), r"got metrics \(1,\)"),
        (changed(cutpoints=[1.0]), "cutpoints"),
        (changed(levels="five"), "levels"),
        (changed(thresholds=3), "expected metadata that fit"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        ModelContract.from_json(text, source="m.onnx")
    assert str(caught.value).startswith("m.onnx: expected")
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    raw = json.loads(contract().to_json())
    del raw["thresholds"]
    with pytest.raises(ExportError, match="expected 'thresholds' in the metadata, got none"):
        ModelContract.from_json(json.dumps(raw), source="m.onnx")
