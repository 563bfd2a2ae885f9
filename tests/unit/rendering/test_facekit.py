"""The face model's file: what is read, what is refused, and how a clone is converted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.rendering.facekit import hash_arrays, read_facekit, write_facekit
from faceflow.rendering.facekit_files import SHA256, convert, find_facekit
from tests.helpers.face_models import face_arrays

ROOT = Path(__file__).parents[3]
CONVERTED = ROOT.parent / "shared/tools/render/ict_face.npz"


def test_a_written_model_is_read_back(tmp_path: Path) -> None:
    arrays = face_arrays()
    write_facekit(tmp_path / "a.npz", arrays)
    kit = read_facekit(tmp_path / "a.npz", key="facekit")
    assert np.array_equal(kit.neutral, arrays["neutral"])
    smile = list(arrays["expression_names"]).index("mouthSmile_L")
    assert np.array_equal(kit.expressions["mouthSmile_L"], arrays["expression"][smile].astype(np.float32))
    assert kit.sha256 == hash_arrays(arrays)


def test_parts_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    arrays = face_arrays()
    arrays["part_names"] = arrays["part_names"][::-1].copy()
    arrays["tri_part"] = (18 - arrays["tri_part"]).astype(np.uint8)
    write_facekit(tmp_path / "a.npz", arrays)
    write_facekit(tmp_path / "b.npz", face_arrays())
    first, second = (read_facekit(tmp_path / f"{name}.npz", key="facekit").parts for name in "ab")
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("key", "change", "found"),
    [
        ("neutral", lambda a: a[:, :2], "'neutral' of shape (551, 2) instead of (551, 3)"),
        ("neutral", lambda a: a * np.nan, "non-finite values in 'neutral'"),
        ("tri", lambda a: a + 60_000, "values other than integers from 0 to 550 in 'tri'"),
        ("landmarks68", lambda a: a[:5], "'landmarks68' of shape (5,) instead of (68,)"),
        ("expression_names", lambda a: np.char.replace(a, "jawOpen", "jaw"), "no shape 'jawOpen'"),
        ("part_names", lambda a: np.char.replace(a, "teeth", "beak"), "an unknown part 'beak'"),
        ("uv", None, "a NumPy archive without 'uv'"),
    ],
)
def test_another_model_is_refused_in_one_line(tmp_path: Path, key: str, change: object, found: str) -> None:
    arrays = face_arrays()
    array = arrays.pop(key)
    if callable(change):
        arrays[key] = change(array)
    write_facekit(tmp_path / "a.npz", arrays)
    with pytest.raises(DataError, match=re.escape(found)) as caught:
        read_facekit(tmp_path / "a.npz", key="facekit")
    assert str(caught.value).startswith("facekit: expected a clone of ICT-FaceKit or its converted file, got")


@pytest.mark.parametrize("cut", [0, 10, 5_000, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, cut: int) -> None:
    write_facekit(tmp_path / "a.npz", face_arrays())
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:cut])
    with pytest.raises(DataError, match="facekit: expected a clone of ICT-FaceKit or its converted file"):
        read_facekit(tmp_path / "a.npz", key="facekit")


def test_a_bit_that_flipped_is_found_by_the_checksum_of_the_archive(tmp_path: Path) -> None:
    write_facekit(tmp_path / "a.npz", face_arrays())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="a damaged file"):
        read_facekit(tmp_path / "a.npz", key="facekit")


def write_clone(folder: Path) -> Path:
    """A clone of three vertices and a quadrangle, with one identity and one expression."""
    folder.mkdir(parents=True)
    square = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]

    def write(name: str, shift: float) -> None:
        lines = [f"v {x + shift} {y} {z}" for x, y, z in square] + [f"vt {x} {y}" for x, y, _ in square]
        (folder / f"{name}.obj").write_text("\n".join(["# comment", *lines, "f 1/4 2/3 3/2 4/1"]) + "\n")

    write("generic_neutral_mesh", 0)
    write("identity000", 0.5)
    write("jawOpen", 0.25)
    return folder


def test_a_clone_becomes_offsets_and_a_fan_of_triangles(tmp_path: Path) -> None:
    arrays = convert(write_clone(tmp_path / "FaceXModel"))
    assert arrays["tri"].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert arrays["tri_uv"].tolist() == [[3, 2, 1], [3, 1, 0]]
    assert arrays["tri_part"].tolist() == [0, 0]  # polygon 0 belongs to the face
    assert arrays["uv"].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert arrays["identity"].tolist() == [[[0.5, 0, 0]] * 4]
    assert arrays["expression"].tolist() == [[[0.25, 0, 0]] * 4]
    assert arrays["expression_names"].tolist() == ["jawOpen"]


def test_a_clone_with_a_damaged_shape_is_refused(tmp_path: Path) -> None:
    folder = write_clone(tmp_path / "FaceXModel")
    (folder / "jawOpen.obj").write_text("v 0 0\nv 1 1 1\n")
    with pytest.raises(DataError, match=r"jawOpen\.obj: expected vertices of three numbers"):
        convert(folder)
    (folder / "jawOpen.obj").write_text("v 0 0 1\n")
    with pytest.raises(DataError, match=r"jawOpen\.obj: expected 4 vertices, got 1"):
        convert(folder)


def test_a_path_that_is_not_there_and_a_folder_without_a_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="facekit: expected a clone of ICT-FaceKit or ict_face.npz, got 'no/such'"):
        find_facekit("no/such", cache=tmp_path)
    with pytest.raises(DataError, match=r"facekit: expected the \.obj files of ICT-FaceKit"):
        find_facekit(str(tmp_path), cache=tmp_path / "cache")


def test_another_model_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_facekit(tmp_path / "a.npz", face_arrays())
    path, kit = find_facekit(str(tmp_path / "a.npz"), cache=tmp_path / "cache")
    assert path == tmp_path / "a.npz"
    assert kit.sha256 != SHA256
    assert "got a different model; faces will differ" in caplog.text


def test_a_folder_of_models_is_looked_into_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_facekit(tmp_path / "models/ict_face.npz", face_arrays())
    write_facekit(tmp_path / "cache/ict_face.npz", {**face_arrays(), "neutral": face_arrays()["neutral"] * 2})
    monkeypatch.setenv("FACEFLOW_MODELS", str(tmp_path / "models"))
    assert find_facekit(None, cache=tmp_path / "cache")[0] == tmp_path / "models/ict_face.npz"
    monkeypatch.setenv("FACEFLOW_MODELS", str(tmp_path / "none"))
    assert find_facekit(None, cache=tmp_path / "cache")[0] == tmp_path / "cache/ict_face.npz"


@pytest.mark.skipif(not CONVERTED.is_file(), reason="needs ../shared/tools/render/ict_face.npz")
def test_the_pinned_hash_is_that_of_the_converted_model() -> None:
    assert read_facekit(CONVERTED, key="facekit").sha256 == SHA256
