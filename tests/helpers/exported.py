"""Small ONNX models whose outputs can be worked out by hand, with the metadata of an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from faceflow.faces.features import FEATURES as NUMBERS
from faceflow.inference.contract import INTENSITY, KEY, PROBABILITY, ModelContract
from faceflow.views import FEATURES, IMAGES

COLOURS = ("AU1", "AU4", "AU12_L")  # whose probabilities are the means of red, green and blue, divided by 255
EYES = {
    "preset": "eyes",
    "size": 64,
    "padding": "replicate",
    "interpolation": "linear",
    "eye_distance": 0.3,
    "eye_height": 0.36,
    "roll": True,
}
CROP = {
    "align": EYES,
    "detector": {"name": "markers", "sha256": "0" * 64},
    "selection": {"policy": "track", "hold": 5, "smooth": 2},
}
_SCALE = 1 / 255


def contract(**changes: Any) -> ModelContract:
    values: dict[str, Any] = {
        "aus": COLOURS,
        "levels": 1,
        "cutpoints": (),
        "occurrence_min": 2.0,
        "label_meaning": "probability: that the AU occurs",
        "thresholds": {"AU1": 0.25, "AU4": 0.75},
        "image_size": 16,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "crop": CROP,
        "backbone": "test_resnet",
        "precision": "fp32",
        "run": {"id": "r1"},
        "training_data": {"faces": "47e2"},
        "metrics": {"f1_val": 0.5},
        "protocol": {"split": "by subject"},
        "licence": "none",
    }
    return ModelContract(**{**values, **changes})


def colour_graph(says: ModelContract) -> onnx.ModelProto:
    """Probabilities are mean colours, intensities five times as much."""
    size, count = says.image_size, len(says.aus)
    assert count == 3, "one AU for each colour"
    nodes = [
        helper.make_node("Cast", [IMAGES], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "scale"], [PROBABILITY]),
    ]
    if says.levels > 1:
        nodes.append(helper.make_node("Mul", [PROBABILITY, "top"], [INTENSITY]))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count]) for name in says.outputs],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [_SCALE]),
            helper.make_tensor("top", TensorProto.FLOAT, [], [5.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def feature_graph(says: ModelContract) -> onnx.ModelProto:
    """Probabilities are the first three coordinates of the landmarks, divided by 1000."""
    nodes = [
        helper.make_node("Slice", [FEATURES, "first", "last", "axis"], ["point"]),
        helper.make_node("Mul", ["point", "scale"], [PROBABILITY]),
    ]
    numbers = {"first": [0], "last": [3], "axis": [1]}
    graph = helper.make_graph(
        nodes,
        "points",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", NUMBERS])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["N", len(says.aus)])],
        [
            *(helper.make_tensor(name, TensorProto.INT64, [1], values) for name, values in numbers.items()),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [1e-3]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def feature_contract(**changes: Any) -> ModelContract:
    reads = {"parts": ["landmarks"], "hidden": 8, "components": 6}
    values = {"backbone": None, "inputs": (FEATURES,), "features": reads, "mean": (), "std": ()}
    return contract(**(values | changes))


def write_model(path: Path, says: ModelContract | None = None, *, metadata: str | None = None) -> Path:
    """Write a colour model, or a landmark model if `says` reads features.

    Args:
        path: the file.
        says: contract of the model; None: `contract()`.
        metadata: text that replaces the metadata from `says`.
    """
    found = contract() if says is None else says
    model = feature_graph(found) if FEATURES in found.inputs else colour_graph(found)
    helper.set_model_props(model, {KEY: found.to_json() if metadata is None else metadata})
    onnx.save(model, str(path))
    return path


def intensity_contract(**changes: Any) -> ModelContract:
    return contract(levels=5, cutpoints=(1.0, 2.0, 3.0, 4.0, 5.0), **changes)
