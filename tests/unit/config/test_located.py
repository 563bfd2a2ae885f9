"""Configs that name objects on a store: local copies are read, addresses are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from faceflow.config.located import local_values, located, located_file, stored_sources
from faceflow.data.labels import read_labels
from faceflow.errors import ConfigError, DataError, StorageError
from faceflow.packs.layout import read_manifest
from faceflow.storage.cache import leave_caches
from tests.helpers.packs import packed_faces

fsspec = pytest.importorskip("fsspec")

LABELS = b"AU1,file\n1,a/1.jpg\n0,a\\2.jpg\n"


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe(
        {
            "/lab/faces.csv": LABELS,
            "/lab/a/1.jpg": b"one",
            "/lab/a/2.jpg": b"two",
            "/lab/a/3.jpg": b"three",
            "/lab/notes.txt": b"no",
            "/lab/run/checkpoints/last.ckpt": b"last",
            "/lab/run/checkpoints/best.ckpt": b"best",
        }
    )
    yield system
    leave_caches()
    system.rm("/lab", recursive=True)


def config(tmp_path: Path, **values: Any) -> DictConfig:
    storage = {"cache": str(tmp_path / "cache"), "gb": 1, "connections": 2, "timeout_s": 1}
    return OmegaConf.create({"storage": storage, "checkpoint": None, "later": "${not.yet.there}", **values})


def source(**values: Any) -> dict[str, Any]:
    return {
        "labels": None,
        "train": None,
        "val": None,
        "test": None,
        "images": None,
        "columns": {"filename": "file"},
    } | values


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.is_file())


def test_without_addresses_a_config_is_itself_and_nothing_is_made(tmp_path: Path) -> None:
    given = config(tmp_path, checkpoint="runs/best.ckpt", data={"sources": {"csv": source(labels="faces.csv")}})
    assert located(given) is given
    assert located_file(given, "checkpoint") == "runs/best.ckpt"
    assert not list(tmp_path.iterdir())


def test_a_table_comes_with_the_images_that_it_names(tmp_path: Path) -> None:
    given = config(tmp_path, data={"sources": {"csv": source(labels="memory://lab/faces.csv")}})
    found = located(given).data.sources.csv
    top = tmp_path / "cache/memory/lab"
    assert (found.labels, found.images) == (str(top / "faces.csv"), None)
    assert names(top) == ["a/1.jpg", "a/2.jpg", "faces.csv"]
    assert given.data.sources.csv.labels == "memory://lab/faces.csv"


def test_a_local_table_can_name_images_on_a_store(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(LABELS)
    given = source(labels=str(tmp_path / "mine.csv"), images="memory://lab")
    found = located(config(tmp_path, data={"sources": {"csv": given}})).data.sources.csv
    assert found.images == str(tmp_path / "cache/memory/lab")
    assert names(Path(found.images)) == ["a/1.jpg", "a/2.jpg"]


def test_crops_come_with_their_recipe_and_features(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    files = {"crops.json": b"{}", "features/a.npy": b"f", "features/b.npy": b"g", "labels.csv": LABELS}
    memory.pipe({f"/lab/cropped/{name}": content for name, content in files.items()})
    memory.pipe({"/lab/cropped/crops/a/1.jpg": b"one", "/lab/cropped/crops/a/2.jpg": b"two"})
    located(config(tmp_path, data={"sources": {"csv": source(labels="memory://lab/cropped/labels.csv")}}))
    expected = ["crops.json", "crops/a/1.jpg", "crops/a/2.jpg", "features/a.npy", "labels.csv"]
    assert names(tmp_path / "cache/memory/lab/cropped") == expected


def test_unlabelled_faces_are_folders_and_tables(tmp_path: Path) -> None:
    columns = {"filename": "file"}
    faces = {
        "path": ["memory://lab/a", "memory://lab/faces.csv", "mine"],
        "images": None,
        "exclude": [],
        "columns": columns,
    }
    found = located(config(tmp_path, data={"unlabeled": {"own": faces}})).data.unlabeled.own
    top = tmp_path / "cache/memory/lab"
    assert list(found.path) == [str(top / "a"), str(top / "faces.csv"), "mine"]
    assert names(top) == ["a/1.jpg", "a/2.jpg", "a/3.jpg", "faces.csv"]


@pytest.mark.parametrize("address", ["memory://lab/pack", "memory://lab/pack/pack.json"])
def test_a_packed_set_comes_whole(memory: fsspec.AbstractFileSystem, tmp_path: Path, address: str) -> None:
    _, pack = packed_faces(tmp_path)
    memory.pipe({f"/lab/pack/{name}": (pack / name).read_bytes() for name in names(pack)})
    faces = {"path": address, "images": None, "exclude": [], "columns": {"filename": "filename"}}
    given = config(tmp_path, data={"sources": {"csv": source(labels=address)}, "unlabeled": {"own": faces}})
    found = located(given).data
    copy = tmp_path / "cache/memory/lab/pack"
    assert found.sources.csv.labels == found.unlabeled.own.path == str(copy)
    assert names(copy) == names(pack)
    assert len(names(pack)) > 3  # several shards
    assert [(copy / name).read_bytes() for name in names(pack)] == [(pack / name).read_bytes() for name in names(pack)]
    memory.rm(f"/lab/pack/{read_manifest(pack).shards[1].name}")
    leave_caches()
    with pytest.raises(DataError, match="no such file"):
        read_labels(located(given).data.sources.csv.labels, missing_values=[], prefer="label", columns={}, key="data")


def test_a_run_is_resumed_by_its_address_or_that_of_its_checkpoint(tmp_path: Path) -> None:
    for address in ("memory://lab/run", "memory://lab/run/checkpoints/last.ckpt"):
        found = located_file(config(tmp_path, resume=address), "resume")
        assert found == str(tmp_path / "cache/memory/lab/run/checkpoints/last.ckpt")
        assert Path(found).with_name("best.ckpt").read_bytes() == b"best"
    with pytest.raises(StorageError, match="resume: expected an object on the store, got none at 'memory://lab/other/"):
        located_file(config(tmp_path, resume="memory://lab/other"), "resume")


def test_sources_are_files_and_folders_and_streams_stay(tmp_path: Path) -> None:
    suffixes = {".jpg", ".mp4"}
    values = {"storage": config(tmp_path).storage}
    top = tmp_path / "cache/memory/lab"
    assert stored_sources({**values, "source": "memory://lab/a/1.jpg"}, suffixes) == (
        str(top / "a/1.jpg"),
        top.parents[1],
    )
    assert stored_sources({**values, "source": ["memory://lab"]}, suffixes) == ([str(top)], top.parents[1])
    assert names(top) == ["a/1.jpg", "a/2.jpg", "a/3.jpg"]
    for stream in (
        "rtsp://host/live",
        "https://host/live",
        "https://host/live.m3u8",
        "https://me:x@host/a.mp4",
        "video.mp4",
        0,
    ):
        assert stored_sources({**values, "source": stream}, suffixes) == (stream, None)
    with pytest.raises(ConfigError, match="source: expected the address of a file or folder, got the pattern"):
        stored_sources({**values, "source": "memory://lab/*.jpg"}, suffixes)


def test_results_and_data_sets_to_crop_are_files_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="output: expected a file or folder on this machine, got 's3://bucket/a.csv'"):
        local_values({"output": "s3://bucket/a.csv"})
    with pytest.raises(ConfigError, match=r"storage: expected settings .* add \+storage=default"):
        local_values({"onnx": "memory://lab/model.onnx"}, "onnx")
