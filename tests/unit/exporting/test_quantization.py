from __future__ import annotations

import numpy as np
import onnx

from faceflow.exporting.quantization import FP16, FP16_STORED, FP32, reduced
from tests.unit.exporting.test_graph import graph


def test_single_precision_is_the_graph_itself() -> None:
    model = graph(1)
    assert reduced(model, FP32, faces=None) is model


def test_half_precision_keeps_pictures_and_outputs_as_they_are() -> None:
    full, half = graph(1), reduced(graph(1), FP16, faces=None)
    assert half.graph.input == full.graph.input
    assert half.graph.output == full.graph.output
    kinds = {tensor.data_type for tensor in half.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_matrices_are_stored_rounded_to_half_under_their_names_and_vectors_as_they_are() -> None:
    full = graph(1)
    largest = full.graph.initializer[0]  # which half precision cannot hold
    largest.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(largest.dims), 1e5, np.float32), largest.name))
    stored = {tensor.name: tensor for tensor in reduced(full, FP16_STORED, faces=None).graph.initializer}
    assert len(largest.dims) == 4
    assert [*stored] == [tensor.name for tensor in full.graph.initializer]
    halves = 0
    for tensor in full.graph.initializer:
        values, found = (onnx.numpy_helper.to_array(each) for each in (tensor, stored[tensor.name]))
        half = values.dtype == np.float32 and values.size > max(values.shape, default=1) and tensor is not largest
        halves += half
        assert found.dtype == (np.float16 if half else values.dtype)
        np.testing.assert_array_equal(found, values.astype(found.dtype))
    assert halves > 10
