"""The bytes of an ONNX file, read without running anything: its metadata, and other files that it asks for.

A file from somewhere else is not trusted: weights may be stored beside a model, under any path that its author chose.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from faceflow.errors import ExportError

# Numbers of the fields that lead to metadata and to tensors, by message of onnx.proto.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_GRAPH, _METADATA, _EXTERNAL = 7, 14, 13
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_DEEPEST = 60  # graphs within graphs; protobuf itself stops at 100 messages
_IR_VERSION = 0x08  # first byte of every ONNX file: the key of field 1


class _DamagedError(Exception):
    """The bytes are no whole protobuf message."""


def read_metadata(path: Path, *, key: str) -> dict[str, str]:
    """Read the metadata of a model, and make sure that it asks for no file outside its folder.

    Args:
        path: the file.
        key: config key that names it, for messages.

    Raises:
        ExportError: no such file, no ONNX, a truncated file, or one that reads weights from elsewhere or lacks them.
    """
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise ExportError(f"{key}: expected an ONNX model, got a file of zero bytes: '{path}'; export it again")
            # Not closed here: while an error is on its way, the frames that it has come through hold parts of it.
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            metadata, locations = _read(path, data, key)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise ExportError(f"{key}: expected an ONNX model, got '{path}': {reason}; check the path") from error
    folder = path.resolve().parent
    for location in locations:
        _check_location(path, folder, location, key)
    return metadata


def _check_location(path: Path, folder: Path, location: str, key: str) -> None:
    try:
        weights = (folder / location).resolve()
        inside, there = weights.is_relative_to(folder), weights.is_file()
    except (ValueError, OSError):  # a name that no file can have
        inside, there = True, False
    if not inside:
        raise ExportError(
            f"{key}: expected weights inside '{path}' or its folder, got {location[:100]!r} outside of it; "
            "use a file from a source that you trust"
        )
    if not there:
        raise ExportError(
            f"{key}: expected weights beside '{path}' in {location[:100]!r}, got no such file; copy it there too, or "
            "export the model again: faceflow-export writes one file"
        )


def _read(path: Path, data: memoryview, key: str) -> tuple[dict[str, str], list[str]]:
    try:
        fields = list(_fields(data))
        if not any(number == _GRAPH for number, _ in fields):
            raise _DamagedError
        metadata = dict(_entry(value) for number, value in fields if number == _METADATA)
        locations = list(_locations("model", data, _DEEPEST))
    except (_DamagedError, UnicodeDecodeError) as error:
        what = "a truncated or damaged file" if data[0] == _IR_VERSION else "a file that is no ONNX"
        raise ExportError(
            f"{key}: expected an ONNX model, got {what}: '{path}'; export it again with faceflow-export"
        ) from error
    return metadata, locations


def _locations(message: str, data: memoryview, depth: int) -> Iterator[str]:
    """Files that the tensors of a message lie in."""
    if depth == 0:
        raise _DamagedError
    for number, value in _fields(data):
        if message == "tensor":
            if number == _EXTERNAL and (entry := _entry(value))[0] == "location":
                yield entry[1]
        elif number in _MESSAGES[message]:
            yield from _locations(_MESSAGES[message][number], value, depth - 1)


def _entry(data: memoryview) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    texts = {number: bytes(value).decode("utf-8") for number, value in _fields(data)}
    return texts.get(1, ""), texts.get(2, "")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields of a message that are texts, bytes or messages."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise _DamagedError
            yield number, data[position : position + length]
            position += length
        elif kind in _FIXED and number > 0:
            position += _FIXED[kind]
        else:
            raise _DamagedError
    if position != len(data):
        raise _DamagedError


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _DamagedError
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _DamagedError
