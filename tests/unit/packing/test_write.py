"""A packed set equals its source even after interrupted writing, and reports changes of the source."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as arrow
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.images import find_fault, hash_content, read_content
from faceflow.packing.source import find_rows
from faceflow.packing.write import write_pack
from faceflow.packs.layout import inside
from faceflow.packs.pack import opened
from faceflow.packs.rows import read_names, read_rows
from tests.helpers.faces import write_csv_dataset
from tests.helpers.packs import COLUMNS, make_pack, packed_faces


def rewrite(path: Path, content: bytes) -> None:
    """Write a file and keep its time of change."""
    found = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_rows_and_pictures_are_those_of_the_source(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    text = (faces / "labels.csv").read_text("utf-8").splitlines()
    table = read_rows(opened(str(pack)), key="labels")
    assert [",".join(cells) for cells in (table.header, *map(table.row, range(len(table))))] == text
    assert list(table.lines) == list(range(2, 14))
    names = [line.split(",")[2] for line in text[1:]]
    assert read_names(opened(str(pack)), key="labels") == names
    for name in names:
        packed, file = inside(pack) / name, faces / "images" / name
        assert read_content(packed) == file.read_bytes()
        assert hash_content(packed) == hash_content(file)
        assert find_fault(packed) is None
    assert len(list(pack.glob("*.arrow"))) > 2


def test_shards_are_files_that_arrow_reads(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    frame = pd.concat(
        [arrow.ipc.open_file(path).read_pandas() for path in sorted(pack.glob("*.arrow"))], ignore_index=True
    )
    source = pd.read_csv(faces / "labels.csv", dtype=str)
    pd.testing.assert_frame_equal(frame[list(source.columns)].astype(object), source.astype(object))
    assert frame["faceflow_image"][0] == (faces / "images" / source["filename"][0]).read_bytes()


def test_a_file_that_two_rows_name_is_packed_once(tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=("AU1",), subjects=1, frames=2)
    with (faces / "labels.csv").open("a") as file:
        file.write("0,./s0/../s0/0.jpg,s0\n")
    packed = make_pack(faces, tmp_path / "pack")
    assert (packed.manifest.rows, packed.manifest.pictures) == (3, 2)
    assert read_rows(opened(str(tmp_path / "pack")), key="x").columns[1][2] == "./s0/../s0/0.jpg"


def test_a_run_that_was_stopped_continues_to_the_same_bytes(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    whole = {path.name: path.read_bytes() for path in pack.iterdir()}
    begun = {"id": json.loads(whole["pack.json"])["id"], "shard_bytes": 4000}
    begun["source"] = json.loads(whole["pack.json"])["source"]
    for kept in range(len(list(pack.glob("*.arrow"))) + 1):
        for path in sorted(pack.iterdir()):
            if path.suffix != ".arrow" or int(path.stem[-5:]) >= kept:
                path.unlink()
        (pack / "packing.json").write_text(json.dumps(begun))
        (pack / f".shard_{kept:05d}.arrow.1.tmp").write_bytes(b"half")
        make_pack(faces, pack)
        assert {path.name: path.read_bytes() for path in pack.iterdir()} == whole


def test_packing_again_says_what_changed(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    before = (pack / "pack.json").read_bytes()
    make_pack(faces, pack)
    assert (pack / "pack.json").read_bytes() == before
    first, labels = faces / "images/s0/0.jpg", faces / "labels.csv"
    picture, text = first.read_bytes(), labels.read_bytes()
    rewrite(first, picture + b"\0")
    with pytest.raises(
        ConfigError, match=r"^images: expected the images in '.*' as they were when packed to '.*changed"
    ):
        make_pack(faces, pack)
    rewrite(first, picture)
    rewrite(labels, text.replace(b"s0\n", b"s1\n"))
    with pytest.raises(
        ConfigError, match=r"^labels: expected '.*labels.csv' as it was when packed to '.*remove '.*pack' and"
    ):
        make_pack(faces, pack)
    other = write_csv_dataset(tmp_path / "other", aus=("AU1",), subjects=1, frames=1)
    with pytest.raises(
        ConfigError, match=r"^output: expected '.*faces/labels.csv', which '.*pack' was packed from, got"
    ):
        make_pack(other, pack)


def test_shards_of_two_sizes_are_not_mixed(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    content = json.loads((pack / "pack.json").read_text())
    (pack / "packing.json").write_text(json.dumps({"id": "x", "shard_bytes": 2**20, "source": content["source"]}))
    (pack / "pack.json").unlink()
    with pytest.raises(ConfigError, match=r"^shard_mb: expected 1, the size of the shards in '.*', got 0.00381.*; set"):
        make_pack(faces, pack)


def test_nothing_else_can_lie_in_the_folder(tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=("AU1",), subjects=1, frames=1)
    with pytest.raises(ConfigError, match=r"^output: expected a new or empty folder, got '.*faces' with files"):
        make_pack(faces, faces)


def test_broken_pictures_are_refused_or_kept_as_they_are(tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=("AU1",), subjects=1, frames=4)
    (faces / "images/s0/1.png").unlink()
    cut = faces / "images/s0/2.jpg"
    cut.write_bytes(cut.read_bytes()[:100])
    with pytest.raises(
        DataError, match=r"labels.csv:3: expected an image, got no such file: '.*s0/1.png'; fix it, or "
    ):
        make_pack(faces, tmp_path / "pack")
    packed = make_pack(faces, tmp_path / "pack", keep_broken=True)
    assert (packed.broken, packed.manifest.pictures) == (2, 3)
    root = inside(tmp_path / "pack")
    faults = [find_fault(root / name) for name in ("s0/0.jpg", "s0/1.png", "s0/2.jpg", "s0/3.png")]
    assert faults == [None, "no such file", "a truncated image", None]
    assert make_pack(faces, tmp_path / "pack", keep_broken=True).broken == 2


def test_a_folder_is_packed_without_labels(tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=("AU1",), subjects=2, frames=1)
    rows = find_rows(None, str(faces / "images"), COLUMNS)
    write_pack(rows, tmp_path / "pack", shard_bytes=10**6, keep_broken=False)
    assert read_names(opened(str(tmp_path / "pack")), key="x") == ["s0/0.jpg", "s1/0.jpg"]


def test_a_packed_set_is_not_packed_again(tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path)
    with pytest.raises(ConfigError, match=r"^labels: expected something not yet packed, got the packed set"):
        find_rows(str(pack), None, COLUMNS)
    with pytest.raises(ConfigError, match=r"^labels: expected a table of crops, got none"):
        find_rows(None, None, COLUMNS)
