from __future__ import annotations

import onnx

from faceflow.exporting.quantization import FP16, FP32, reduced
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
