"""Smaller and faster versions of an exported graph: half precision and 8-bit integers."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from faceflow.errors import ExportError
from faceflow.exporting.graph import exporter_silenced
from faceflow.exporting.sample_faces import Sample
from faceflow.inference.contract import BYTES, SCALE
from faceflow.views import FEATURES, IMAGES

FP32, FP16, FP16_STORED, INT8_STORED = "fp32", "fp16", "fp16_stored", "int8_stored"
INT8, INT8_STATIC = "int8", "int8_static"
STORED = (FP16_STORED, INT8_STORED)
"""Precisions of stored weights only; weights keep their names and the network computes in single precision."""
PRECISIONS = (FP32, FP16, *STORED, INT8, INT8_STATIC)
_LINEAR, _CONVOLUTION = ["Gemm", "MatMul"], "Conv"
_WEIGHTED = [*_LINEAR, _CONVOLUTION]  # where the time goes; normalisation and decode stay as they are
_CUTOFFS = ["Relu", "Clip"]  # fused into the convolution before them, whose range they then limit
_LARGEST = 127  # of a signed 8-bit integer
_BATCH = 8


def reduced(model: onnx.ModelProto, precision: str, *, faces: Sample | None) -> onnx.ModelProto:
    """Convert a graph in single precision.

    Args:
        model: is not changed.
        precision: one of `PRECISIONS`. fp16_stored and int8_stored compute in single precision, and weights keep their
            names, see `build_graph`. int8_static computes in integers, with ranges measured once. int8 does so in
            linear layers only, with ranges measured in every batch, and merely stores convolutions in 8 bits: with
            measured ranges, ONNX Runtime computes them several times slower in integers.
        faces: faces on which int8_static measures the ranges.

    Raises:
        ExportError: the graph has an operator that cannot be converted.
    """
    assert precision in PRECISIONS, precision
    if precision == FP32:
        return model
    try:
        with exporter_silenced(), tempfile.TemporaryDirectory() as folder:
            return _converted(model, precision, faces, Path(folder) / "converted.onnx")
    except (RuntimeError, ValueError, KeyError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"precision: expected a network that fits {precision}, got one that does not ({reason}); use fp32"
        ) from error


def _converted(model: onnx.ModelProto, precision: str, faces: Sample | None, path: Path) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fine = _of_features(copy.graph)
    if precision == FP16:
        return _halved(copy)
    if precision in STORED:
        return _stored(copy, in_bytes=precision == INT8_STORED)
    if precision == INT8:
        _store_convolutions_in_bytes(copy.graph)
        quantize_dynamic(
            copy,
            path,
            op_types_to_quantize=_LINEAR,
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*fine, *(f"{name}_MatMul" for name in fine)],  # it renames what it splits
        )
    else:
        assert faces is not None, "faces to measure on"
        quantize_static(
            copy,
            path,
            _Batches(faces),
            op_types_to_quantize=_WEIGHTED + _CUTOFFS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=fine,
            extra_options={"CalibMovingAverage": True},  # one odd face does not set the range
        )
    return onnx.load(path)


def _stored(model: onnx.ModelProto, *, in_bytes: bool) -> onnx.ModelProto:
    """Store weights under their names in half precision, or convolutions in bytes; ONNX Runtime restores them.

    Vectors are not converted, as they are small and scale whole channels, nor is what half precision cannot hold.
    """
    graph, single = model.graph, {}
    if in_bytes:
        _store_convolutions_in_bytes(graph)
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or math.prod(tensor.dims) == max(tensor.dims, default=1):
            continue
        weights, name = onnx.numpy_helper.to_array(tensor), tensor.name
        if np.abs(weights).max(initial=0) <= np.finfo(np.float16).max:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights.astype(np.float16), name))
            single[name] = f"{name}.single"
    casts = [onnx.helper.make_node("Cast", [name], [cast], to=onnx.TensorProto.FLOAT) for name, cast in single.items()]
    for node in graph.node:
        node.input[:] = [single.get(name, name) for name in node.input]
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]  # they name the old types
    graph.node.extend([*casts, *nodes])
    return model


def _store_convolutions_in_bytes(graph: onnx.GraphProto) -> None:
    """Replace weights by integers and a scale per output channel; ONNX Runtime multiplies them when it opens a file."""
    names = {node.input[1] for node in graph.node if node.op_type == _CONVOLUTION}
    restored = []
    for tensor in [tensor for tensor in graph.initializer if tensor.name in names]:
        weights = onnx.numpy_helper.to_array(tensor)
        largest = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
        scale = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
        name, whole, scaled = tensor.name, tensor.name + BYTES, tensor.name + SCALE
        graph.initializer.remove(tensor)
        graph.initializer.extend(
            onnx.numpy_helper.from_array(values, name)
            for values, name in ((np.round(weights / scale).astype(np.int8), whole), (scale, scaled))
        )
        restored += [
            onnx.helper.make_node("Cast", [whole], [f"{name}_whole"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [f"{name}_whole", scaled], [name]),
        ]
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*restored, *nodes])


def _of_features(graph: onnx.GraphProto) -> list[str]:
    """Nodes that see only features: they are few, and a frown is a hundredth of a face."""
    names, known = [], {FEATURES}
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if known & set(node.input) and set(node.input) <= known | constants | {""}:
            names.append(node.name)
            known |= set(node.output)
        elif not set(node.input) - constants:
            constants |= set(node.output)
    return names


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    kept = [*dict.fromkeys([*_kept_in_single(model.graph), *_of_features(model.graph)])]
    half: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True, node_block_list=kept)
    return half


def _kept_in_single(graph: onnx.GraphProto) -> list[str]:
    """Nodes before the first weights and after the last: 0..255 and sums of levels lose digits in half precision."""
    names: list[str] = []
    known = {IMAGES}
    for node in graph.node:
        constants = {tensor.name for tensor in graph.initializer}
        if node.op_type in _WEIGHTED:
            continue
        if known & set(node.input) and set(node.input) <= known | constants:
            names.append(node.name)
            known |= set(node.output)
    wanted = {output.name for output in graph.output}
    for node in reversed(graph.node):
        if wanted & set(node.output) and node.op_type not in _WEIGHTED:
            names.append(node.name)
            if node.op_type != "Sigmoid":
                wanted |= set(node.input)
    return names


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, faces: Sample) -> None:
        self._batches = (faces.take(slice(start, start + _BATCH)) for start in range(0, faces.size, _BATCH))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Feed the next batch, None at the end."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        return {name: part for name, part in zip((IMAGES, FEATURES), batch, strict=True) if part is not None}
