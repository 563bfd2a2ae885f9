"""Invalid metadata are refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faceflow.centring import Centring
from faceflow.conformal import Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.errors import ExportError
from faceflow.inference.contract import ModelContract
from tests.helpers.exported import contract, intensity_contract


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(contract().to_json()) | changes)


CONSTANTS = {"AU1": -1.0, "AU4": 0.5, "AU12_L": 0.0}
BAND = Conformal(coverage=0.9, subjects=5, low={"AU1": 0.25}, high={"AU1": 0.75}, radius={"AU1": 1.5})
CENTRING = Centring(thresholds={"AU1": 0.5}, logit=CONSTANTS, intensity=CONSTANTS)


STATISTICS = CropStatistics(faces=9, subjects=3, quantiles={"yaw": (-9.0, -5.0, 0.0, 5.0, 9.5)})


@pytest.mark.parametrize(
    "says",
    [
        *(contract(), intensity_contract(crop=None), intensity_contract(centring=CENTRING, conformal=BAND)),
        contract(crop_statistics=STATISTICS),
    ],
)
def test_a_written_contract_is_read_back(says: ModelContract) -> None:
    assert ModelContract.from_json(says.to_json(), source="m.onnx") == says


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "got damaged metadata; export it again"),
        ("[]", "expected model format 2, got None; export it again"),
        (changed(format=0), "got 0; export it again"),
        (changed(format=True), "got True; export it again"),
        (changed(format="2"), "got '2'; export it again"),
        (changed(format=1.5), r"got 1\.5; export it again"),
        (changed(aus=["AU1", "AU99"]), "expected consistent metadata"),
        ("[" * 100_000, "got damaged metadata; export it again"),
        (changed(crop_statistics={"faces": 3}), "got statistics of crops {'faces': 3}; export it again"),
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
        (changed(levels=10**12, cutpoints=[]), "of 1000000000000 levels"),
        (changed(occurrence_min=float("nan")), "got occurrence_min nan"),
        (changed(occurrence_min=[2]), "got occurrence_min"),
        (changed(mean="grey"), "got mean 'grey'"),
        (changed(std=[1, 1, float("inf")]), "got std"),
        (changed(std=[10**400, 1, 1]), "int too large"),
        (changed(backbone=None), "got backbone None"),
        (changed(licence={}), "got licence {}"),
        (changed(thresholds=3), "expected consistent metadata"),
        (changed(conformal=[1]), "got a conformal band without numbers per AU"),
        (changed(conformal={**BAND.to_dict(), "low": {"AU1": 2}}), "got a conformal band with values out of range"),
        (changed(centring=[1]), "got thresholds and constants of centred scores that are not numbers per AU"),
        (changed(centring=Centring(thresholds={}, logit={}, intensity={}).to_dict()), "no constants of .* for AU1"),
    ],
)
def test_an_invalid_contract_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        ModelContract.from_json(text, source="m.onnx")
    assert str(caught.value).startswith("m.onnx: expected")
    assert "\n" not in str(caught.value)


DECIDING = ("aus", "levels", "cutpoints", "occurrence_min", "thresholds", "image_size", "mean", "std", "backbone")


@pytest.mark.parametrize("key", DECIDING)
def test_a_field_that_decides_numbers_is_never_guessed(key: str) -> None:
    raw = json.loads(contract().to_json())
    del raw[key]
    with pytest.raises(ExportError, match=f"^m.onnx: expected '{key}' in the metadata, got none; export it again$"):
        ModelContract.from_json(json.dumps(raw), source="m.onnx")


def test_an_older_file_lacks_fields_and_a_newer_one_of_this_format_has_more() -> None:
    raw = json.loads(contract().to_json())
    older = {key: raw[key] for key in ("format", *DECIDING)}
    read = ModelContract.from_json(json.dumps(older), source="m.onnx")
    assert (read.aus, read.thresholds, read.crop, read.metrics) == (contract().aus, contract().thresholds, None, {})
    newer = raw | {"identities": {"kept": [1, None]}, "": 3}
    assert ModelContract.from_json(json.dumps(newer), source="m.onnx") == contract()


def test_a_newer_format_says_what_to_do() -> None:
    with pytest.raises(ExportError) as caught:
        ModelContract.from_json(changed(format=7, aus="another meaning"), source="m.onnx")
    assert str(caught.value) == (
        "m.onnx: expected model format 2 or lower, got 7 of a newer FaceFlow; run: pip install -U faceflow"
    )
