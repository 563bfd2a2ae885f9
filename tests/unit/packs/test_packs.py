"""Packed sets are read completely or refused in one line, in any process."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest

from faceflow.data.packed import table_of
from faceflow.errors import DataError
from faceflow.images import decode_image, read_content
from faceflow.packs.layout import inside, pack_folder, split_path
from faceflow.packs.pack import NAMES, forget_opened, opened, read_part
from tests.helpers.packs import packed_faces

Damage = Callable[[Path], object]


def edit(**changes: object) -> Damage:
    def damage(pack: Path) -> None:
        content = json.loads((pack / "pack.json").read_text())
        (pack / "pack.json").write_text(json.dumps({**content, **changes}))

    return damage


def reshard(change: Callable[[arrow.Table], arrow.Table]) -> Damage:
    """Write the first shard anew, with its size in pack.json."""

    def damage(pack: Path) -> None:
        path = pack / "shard_00000.arrow"
        table = change(arrow.ipc.open_file(path.read_bytes()).read_all())
        with arrow.OSFile(str(path), "wb") as file, arrow.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        content = json.loads((pack / "pack.json").read_text())
        content["shards"][0]["bytes"] = path.stat().st_size
        (pack / "pack.json").write_text(json.dumps(content))

    return damage


def reindex(pack: Path) -> None:
    index = np.load(pack / "index.npy")
    index[NAMES] = index[NAMES][::-1]
    np.save(pack / "index.npy", index)


def cut(pack: Path) -> None:
    path = pack / "shard_00001.arrow"
    path.write_bytes(path.read_bytes()[:-100])


def scribble(pack: Path) -> None:
    """Other bytes in a shard that has its size."""
    pictures = opened(str(pack)).index
    path = pack / "shard_00000.arrow"
    content = bytearray(path.read_bytes())
    first = pictures[:, pictures[2] == 0][3].min()
    content[first + 20 : first + 40] = bytes(20)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (
            edit(format=2),
            "pack.json: expected a packed set of version 1 at most, got version 2 of a newer FaceFlow; up",
        ),
        (edit(format="?"), "pack.json: expected a packed set of faceflow-pack, got a file of another kind; check"),
        (edit(source={}), "pack.json: expected a complete packed set, got one without labels; pack again"),
        (edit(shards=3), "pack.json: expected a complete packed set, got one without .*; pack again"),
        (edit(rows=11), "pack: expected 11 rows and 12 images in its shards, as in pack.json, got other numbers"),
        (
            edit(pictures=11),
            "index.npy: expected an index of 11 images, as in pack.json, got .* of int64; pack again",
        ),
        (
            lambda pack: (pack / "pack.json").write_text("{"),
            "pack.json: expected a packed set .*, got 'not a JSON",
        ),
        (
            lambda pack: (pack / "index.npy").write_bytes(b""),
            "index.npy: expected the index of a packed set, got 'an incomplete",
        ),
        (
            lambda pack: (pack / "index.npy").unlink(),
            "index.npy: expected the index .*, got 'No such file or directory'",
        ),
        (reindex, "index.npy: expected the index that belongs to pack.json, got another one; pack again"),
        (
            lambda pack: (pack / "shard_00001.arrow").unlink(),
            r"shard_00001.arrow: expected a shard .* got none \(no such",
        ),
        (
            cut,
            "shard_00001.arrow: expected a shard of .* bytes, as in pack.json, got .*; copy it again, or pack again",
        ),
        (
            scribble,
            "shard_00000.arrow: expected the images listed in the index of this packed set, got others; copy it",
        ),
        (
            reshard(lambda table: table.replace_schema_metadata({"faceflow": "2 x"})),
            "shard_00000.arrow: expected a shard of version 1, got 2; pack again",
        ),
        (
            reshard(lambda table: table.replace_schema_metadata({"faceflow": "1 x"})),
            "shard_00000.arrow: expected a shard of this packed set, got one from another set; pack again",
        ),
        (
            reshard(lambda table: table.replace_schema_metadata(None)),
            "shard_00000.arrow: expected a shard of version 1, got another kind of file; pack again",
        ),
        (
            reshard(lambda table: table.slice(1)),
            "shard_00000.arrow: expected . rows, as in pack.json, got .; pack again",
        ),
    ],
)
def test_inconsistent_files_are_refused_in_one_line(damage: Damage, line: str, tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path)
    damage(pack)
    with pytest.raises(DataError, match=line) as error:
        table_of(pack, key="data.labels")
    assert "\n" not in str(error.value)


def test_every_cut_of_every_file_is_refused(tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path, subjects=1)
    rng = np.random.default_rng(0)
    for path in [path for path in pack.iterdir() if path.suffix != ".tmp"]:
        content = path.read_bytes()
        for end in [0, *rng.integers(1, len(content), 8).tolist(), len(content) - 1]:
            path.write_bytes(content[:end])
            if path.name != "pack.json" or content[:end].strip() != content.strip():
                with pytest.raises(DataError):
                    table_of(pack, key="data.labels")
        path.write_bytes(content)
    assert len(table_of(pack, key="data.labels")) == 4


def test_a_shard_that_is_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path)
    forget_opened()
    picture = inside(pack) / "s2/3.png"
    assert decode_image(picture)[1] is None
    last = sorted(pack.glob("*.arrow"))[-1]
    last.write_bytes(last.read_bytes()[:200])
    image, fault = decode_image(picture)
    assert image is None
    assert fault == f"a truncated shard, '{last.name}'"


def test_names_outside_are_no_pictures(tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_content(inside(pack) / "s0/9.jpg")
    assert decode_image(inside(pack) / "s0/9.jpg") == (None, "no such file")
    assert split_path(pack / "x.jpg") is None
    with pytest.raises(OSError, match="truncated"):
        read_part(pack / "index.npy", 10**6, 8)


def test_a_path_means_a_packed_set_by_its_folder_or_by_names_of_its_source(tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    for name in ("", "pack.json", "labels.csv", "images"):
        assert pack_folder(pack / name) == pack
    for path in (pack / "folds", pack / "index.npy", faces, faces / "labels.csv", tmp_path / "nowhere", None):
        assert pack_folder(path) is None


def test_a_set_can_be_moved(tmp_path: Path) -> None:
    _, pack = packed_faces(tmp_path)
    content = read_content(inside(pack) / "s1/2.jpg")
    shutil.move(pack, tmp_path / "elsewhere")
    assert read_content(inside(tmp_path / "elsewhere") / "s1/2.jpg") == content


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_other_processes_read_at_the_same_time(method: str, tmp_path: Path) -> None:
    faces, pack = packed_faces(tmp_path)
    names = [f"s{subject}/{2 * frame}.jpg" for subject in range(3) for frame in range(2)] * 20
    expected = [(faces / "images" / name).read_bytes() for name in names]
    assert [read_content(inside(pack) / name) for name in names] == expected  # files are open before the fork
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as workers:
        found = list(workers.map(read_content, [str(inside(pack) / name) for name in names]))
    assert found == expected


def test_changed_labels_are_a_warning_where_they_can_be_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces, pack = packed_faces(tmp_path)
    table_of(pack, key="data.labels")
    assert caplog.text == ""
    with (faces / "labels.csv").open("a") as file:
        file.write("0,0,s0/0.jpg,s0\n")
    table_of(pack, key="data.labels")
    assert f"{pack}: packed from '{faces / 'labels.csv'}', which has changed since; pack it again" in caplog.text
