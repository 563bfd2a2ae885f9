"""ICT-FaceKit as arrays: a mean face with identity and expression shapes, from one file.

Li et al. 2020, "Learning formation of physically-based face attributes"; (c) USC Institute for Creative Technologies,
MIT licence. FaceFlow ships no part of it.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.files import whole_file
from faceflow.rendering.arrays import Floats, Ints

PARTS = (
    *("face", "head_neck", "mouth_socket", "eye_socket_l", "eye_socket_r", "gums_tongue", "teeth"),
    *("sclera_l", "iris_l", "sclera_r", "iris_r", "lacrimal_l", "lacrimal_r", "eyeblend_l", "eyeblend_r"),
    *("eyeocc_l", "eyeocc_r", "lashes_l", "lashes_r"),
)
_BY_SIDE = (
    *("PupilDilate", "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekRaiser", "cheekSquint", "eyeBlink"),
    *("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown"),
    *("mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer"),
)
_MIDDLE = (
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
)
EXPRESSIONS = tuple(sorted([*(f"{name}_{side}" for name in _BY_SIDE for side in "LR"), *_MIDDLE]))
_LANDMARKS = 68
_ARRAYS = ("neutral", "tri", "tri_uv", "tri_part", "uv", "identity", "expression", "landmarks68")


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceKit:
    """The model in cm: x to the subject's left, y up, z to the front.

    Attributes:
        neutral: (V, 3), mean face.
        triangles: (T, 3).
        uv_triangles: (T, 3), rows of `uv` at the corners.
        parts: (T,), index in `PARTS` of each triangle.
        uv: (U, 2), from the lower left corner of the texture.
        identity: (I, V, 3), offsets from the mean face for one standard deviation.
        expressions: offsets (V, 3) of each full expression.
        landmarks: (68,), vertices of the landmarks of 300-W (Sagonas et al. 2013).
        sha256: hash of all arrays.
    """

    neutral: Floats
    triangles: Ints
    uv_triangles: Ints
    parts: Ints
    uv: Floats
    identity: Floats
    expressions: Mapping[str, Floats]
    landmarks: Ints
    sha256: str


def read_facekit(path: Path, *, key: str) -> FaceKit:
    """Read a converted model, such as ict_face.npz.

    Args:
        path: the file.
        key: config key that named it, for messages.

    Raises:
        DataError: the file cannot be read, or is not such a model.
    """
    try:
        # Opened here, because NumPy leaves a file open if it is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in (*_ARRAYS, "part_names", "expression_names")}
    except OSError as error:
        raise _no_model(path, key, error.strerror or "not a NumPy archive") from error
    except KeyError as error:
        raise _no_model(path, key, f"a NumPy archive without '{str(error.args[0]).split()[0]}'") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise _no_model(path, key, "a damaged file") from error
    if fault := _find_fault(arrays):
        raise _no_model(path, key, f"a file with {fault}")
    numbers = {str(name): PARTS.index(str(name)) for name in arrays["part_names"]}
    order = np.array([numbers[str(name)] for name in arrays["part_names"]], np.int32)
    expressions = {
        str(name): shape for name, shape in zip(arrays["expression_names"], arrays["expression"], strict=True)
    }
    return FaceKit(
        neutral=arrays["neutral"].astype(np.float32),
        triangles=arrays["tri"].astype(np.int32),
        uv_triangles=arrays["tri_uv"].astype(np.int32),
        parts=order[arrays["tri_part"]],
        uv=arrays["uv"].astype(np.float32),
        identity=arrays["identity"].astype(np.float32),
        expressions={name: expressions[name].astype(np.float32) for name in EXPRESSIONS},
        landmarks=arrays["landmarks68"].astype(np.int32),
        sha256=hash_arrays(arrays),
    )


def write_facekit(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write a converted model, the arrays that `read_facekit` reads.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def hash_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 of a model's arrays, independent of compression and NumPy version."""
    digest = hashlib.sha256()
    for name in _ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _find_fault(arrays: Mapping[str, NDArray[np.generic]]) -> str | None:
    """Reason why arrays are not a face model, or None."""
    vertices, texels = len(arrays["neutral"]), len(arrays["uv"])
    count, expressions = len(arrays["tri"]), [str(name) for name in arrays["expression_names"]]
    shapes = {
        "neutral": (vertices, 3),
        "tri": (count, 3),
        "tri_uv": (count, 3),
        "tri_part": (count,),
        "uv": (texels, 2),
        "identity": (len(arrays["identity"]), vertices, 3),
        "expression": (len(expressions), vertices, 3),
        "landmarks68": (_LANDMARKS,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"'{name}' of shape {arrays[name].shape} instead of {shape}"
    for name in ("neutral", "uv", "identity", "expression"):
        if not np.issubdtype(arrays[name].dtype, np.floating) or not np.isfinite(arrays[name]).all():
            return f"non-finite values in '{name}'"
    limits = {"tri": vertices, "tri_uv": texels, "tri_part": len(arrays["part_names"]), "landmarks68": vertices}
    for name, limit in limits.items():
        array = arrays[name]
        if (
            not np.issubdtype(array.dtype, np.integer)
            or not array.size
            or int(array.min()) < 0
            or int(array.max()) >= limit
        ):
            return f"values other than integers from 0 to {limit - 1} in '{name}'"
    if unknown := sorted({str(name) for name in arrays["part_names"]} - set(PARTS)):
        return f"an unknown part '{unknown[0]}'"
    if missing := sorted(set(EXPRESSIONS) - set(expressions)):
        return f"no shape '{missing[0]}'"
    return None


def _no_model(path: Path, key: str, found: str) -> DataError:
    return DataError(
        f"{key}: expected a clone of ICT-FaceKit or its converted file, got '{path}' ({found}); replace it, or omit "
        "facekit to use the cached copy"
    )
