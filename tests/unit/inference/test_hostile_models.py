"""ONNX files that are damaged, not models, or crafted to read other files: each is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from faceflow.errors import ExportError
from faceflow.inference.contract import KEY, PROBABILITY
from faceflow.inference.onnx_model import OnnxModel
from tests.helpers.exported import COLOURS, colour_graph, contract, write_model

SECRET = np.array([0.25, 0.5, 0.75], np.float32)


def stored_in(location: str) -> Any:
    """A tensor of three numbers that lie in another file."""
    tensor = helper.make_tensor("weights", TensorProto.FLOAT, [len(COLOURS)], [0.0] * len(COLOURS))
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(SECRET.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def as_initializer(graph: Any, tensor: Any) -> None:
    graph.initializer.append(tensor)


def as_sparse_initializer(graph: Any, tensor: Any) -> None:
    indices = helper.make_tensor("indices", TensorProto.INT64, [3], [0, 1, 2])
    graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [3]))


def as_constant(graph: Any, tensor: Any) -> None:
    graph.node.insert(0, helper.make_node("Constant", [], ["weights"], value=tensor))


def as_fill(graph: Any, tensor: Any) -> None:
    del tensor.dims[:]
    tensor.dims.append(1)
    next(entry for entry in tensor.external_data if entry.key == "length").value = "4"
    graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [1], [3]))
    graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["weights"], value=tensor))


def in_a_branch(graph: Any, tensor: Any) -> None:
    """A constant inside a graph inside a node."""
    branches = []
    for name, value in (("then", tensor), ("else", helper.make_tensor("zeros", TensorProto.FLOAT, [3], [0.0] * 3))):
        output = helper.make_tensor_value_info(f"{name}_weights", TensorProto.FLOAT, [3])
        node = helper.make_node("Constant", [], [output.name], value=value)
        branches.append(helper.make_graph([node], name, [], [output]))
    graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [1], [True]))
    branching = helper.make_node("If", ["yes"], ["weights"], then_branch=branches[0], else_branch=branches[1])
    graph.node.insert(0, branching)


PLACES = [as_initializer, as_sparse_initializer, as_constant, as_fill, in_a_branch]


def write_reading(path: Path, location: str, place: Callable[[Any, Any], None]) -> Path:
    """Write a model with our metadata whose scores are the three numbers of another file."""
    model = colour_graph(contract())
    model.graph.node[-1].output[0] = "scores"
    for operation, inputs, output in (("Sub", ["scores", "scores"], "none"), ("Add", ["none", "weights"], PROBABILITY)):
        model.graph.node.append(helper.make_node(operation, inputs, [output]))
    place(model.graph, stored_in(location))
    helper.set_model_props(model, {KEY: contract().to_json()})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for models, beside a secret, with a link to it."""
    models = tmp_path / "models"
    (models / "sub").mkdir(parents=True)
    SECRET.tofile(tmp_path / "secret")
    (models / "link").symlink_to(tmp_path)
    (models / "linked").symlink_to(tmp_path / "secret")
    return models


@pytest.mark.parametrize("location", ["../secret", "{outside}/secret", "sub/../../secret", "link/secret", "linked"])
@pytest.mark.parametrize("place", PLACES)
def test_weights_outside_of_the_folder_are_refused_wherever_they_are(
    folder: Path, location: str, place: Callable[[Any, Any], None]
) -> None:
    path = write_reading(folder / "m.onnx", location.format(outside=folder.parent), place)
    with pytest.raises(
        ExportError, match=r"^onnx: expected an ONNX model that ONNX Runtime .* can open, got"
    ) as caught:
        OnnxModel(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", PLACES)
def test_weights_beside_the_model_are_read(folder: Path, place: Callable[[Any, Any], None]) -> None:
    """The refusals above are for the place of the weights, not for what else is odd about these models."""
    SECRET.tofile(folder / "sub" / "weights")
    model = OnnxModel(write_reading(folder / "m.onnx", "sub/weights", place), provider="cpu")
    expected = [SECRET[0]] * 3 if place is as_fill else SECRET
    assert model.run(np.zeros((1, 16, 16, 3), np.uint8)).probability[0] == pytest.approx(expected)


@pytest.mark.parametrize("location", ["gone.bin", "", ".", "a" * 5000, "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("place", PLACES)
def test_weights_that_are_not_there_are_refused(folder: Path, location: str, place: Callable[[Any, Any], None]) -> None:
    with pytest.raises(ExportError, match="onnx: expected an ONNX model that ONNX Runtime .* can open") as caught:
        OnnxModel(write_reading(folder / "m.onnx", location, place))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_an_older_onnx_runtime_which_reads_them_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "__version__", "1.26.0")
    with pytest.raises(ExportError, match=r"onnxruntime: expected version 1\.27 or later, got 1\.26\.0, .*pip install"):
        OnnxModel(write_model(folder / "m.onnx"))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_model(tmp_path / "m.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in [*range(1, len(whole), 11), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ExportError) as caught:
            OnnxModel(cut)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
def test_a_file_damaged_anywhere_is_opened_or_refused(tmp_path: Path, byte: int) -> None:
    whole = write_model(tmp_path / "m.onnx").read_bytes()
    damaged = tmp_path / "damaged.onnx"
    refused = 0
    for place in range(0, len(whole), 13):
        damaged.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        try:
            OnnxModel(damaged)
        except ExportError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "No graph was found in the protobuf"),
        (b"\x08\x08", "No graph was found in the protobuf"),
        (b"not a model at all", "Protobuf parsing failed"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "Protobuf parsing failed"),
        (bytes(4) + b"ORTM" + bytes(100), "Protobuf parsing failed"),  # ONNX Runtime's own format
    ],
)
def test_other_files_are_no_models(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(
        ExportError, match=rf"^onnx: expected an ONNX model .*, got .*m.onnx. \({says}\.\); copy the whole"
    ):
        OnnxModel(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^output: expected an ONNX model, got '.*': no such file; check the path"):
        OnnxModel(tmp_path / "m.onnx", key="output")
    with pytest.raises(ExportError, match="is a directory"):
        OnnxModel(tmp_path)


def test_metadata_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b'"aus"', b'"\xffus"'))
    with pytest.raises(ExportError, match="onnx: expected a model exported by FaceFlow, got damaged metadata"):
        OnnxModel(path)


def test_metadata_of_any_size_are_read(tmp_path: Path) -> None:
    note = "é" * 5_000_000
    assert OnnxModel(write_model(tmp_path / "m.onnx", contract(licence=note))).contract.licence == note
