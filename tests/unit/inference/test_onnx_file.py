"""What the bytes of an ONNX file say, against the onnx package; files that are damaged or reach out of their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from faceflow.errors import ExportError
from faceflow.inference.onnx_file import read_metadata
from tests.helpers.exported import write_model


def external(location: str, name: str = "weights") -> Any:
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)
    return tensor


def save(path: Path, nodes: Any, tensors: Any = (), **metadata: str) -> Path:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph(list(nodes), "g", [], [output], list(tensors)))
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    return path


def constant(tensor: Any, output: str = "y") -> Any:
    return helper.make_node("Constant", [], [output], value=tensor)


def in_a_branch(tensor: Any) -> Any:
    """A tensor inside a graph inside a node."""
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    branch = helper.make_graph([constant(tensor)], "branch", [], [value])
    other = helper.make_graph([constant(helper.make_tensor("z", TensorProto.FLOAT, [1], [0]))], "o", [], [value])
    return helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other)


def test_metadata_are_those_that_onnx_reads(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [], faceflow="{}", other="é" * 300)
    theirs = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert read_metadata(path, key="onnx") == theirs == {"faceflow": "{}", "other": "é" * 300}


def test_a_file_cut_anywhere_is_refused_or_lacks_its_metadata(tmp_path: Path) -> None:
    whole = write_model(tmp_path / "m.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(1, len(whole), 3):
        cut.write_bytes(whole[:length])
        try:
            assert "faceflow" not in read_metadata(cut, key="onnx"), length
        except ExportError as error:
            assert "got a truncated or damaged file" in str(error)
            assert "\n" not in str(error)


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
def test_a_file_damaged_anywhere_is_read_or_refused(tmp_path: Path, byte: int) -> None:
    whole = save(tmp_path / "m.onnx", [in_a_branch(external("m.onnx"))], faceflow="{}").read_bytes()
    damaged = tmp_path / "damaged.onnx"
    refused = 0
    for place in range(1, len(whole)):
        damaged.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        try:
            read_metadata(damaged, key="onnx")
        except ExportError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "a file of zero bytes"),
        (b"not a model at all", "a file that is no ONNX"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a file that is no ONNX"),
        (b"\x08\x08", "a truncated or damaged file"),
    ],
)
def test_other_files_are_told_apart(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=f"^onnx: expected an ONNX model, got {says}: '{path}'"):
        read_metadata(path, key="onnx")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="output: .*no such file; check the path"):
        read_metadata(tmp_path / "m.onnx", key="output")
    with pytest.raises(ExportError, match="is a directory"):
        read_metadata(tmp_path, key="onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "sub/../../secret", "link/secret"])
@pytest.mark.parametrize("place", ["initializer", "node", "branch", "sparse"])
def test_weights_outside_of_the_folder_are_refused_wherever_they_are(tmp_path: Path, location: str, place: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    tensor, path = external(location), folder / "m.onnx"
    if place == "initializer":
        save(path, [], [tensor])
    elif place == "sparse":
        model = onnx.load_model_from_string(save(path, []).read_bytes())
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
        path.write_bytes(model.SerializeToString())
    else:
        save(path, [constant(tensor) if place == "node" else in_a_branch(tensor)])
    with pytest.raises(ExportError, match=f"expected weights inside .*, got '{location}' outside of it"):
        read_metadata(path, key="onnx")


@pytest.mark.parametrize("location", ["gone.bin", "", ".", "a\0b", "a" * 5000])
def test_weights_that_are_not_there_are_named(tmp_path: Path, location: str) -> None:
    path = save(tmp_path / "m.onnx", [], [external(location)])
    with pytest.raises(ExportError, match=r"onnx: expected weights beside .*, got no such file; copy it") as caught:
        read_metadata(path, key="onnx")
    assert f"in {location[:100]!r}, got" in str(caught.value)


def test_weights_beside_the_model_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("m.onnx.data", "sub/w"):
        (tmp_path / name).touch()
    assert read_metadata(save(tmp_path / "m.onnx", [], [external("m.onnx.data"), external("sub/w")]), key="onnx") == {}
