"""Cached copies of objects over real HTTP: complete, verified, shared, and within the size limit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError, StorageError
from faceflow.storage.cache import Cache, StorageSettings
from tests.helpers.stores import StoreServer, web_server

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

CROPS = {f"crops/s{number // 10}/{number}.jpg": bytes([number]) * 1000 for number in range(30)}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceflow.storage.store._PAUSE_S", 0.01)
    monkeypatch.setattr("faceflow.storage.fetching._PAUSE_S", 0.01)


@pytest.fixture
def web() -> Iterator[StoreServer]:
    with web_server({"labels.csv": b"AU1,filename\n1,a.jpg\n", **CROPS}) as server:
        yield server


@contextlib.contextmanager
def opened(folder: Path, **changes: Any) -> Iterator[Cache]:
    values: dict[str, Any] = {"cache": str(folder), "gb": 1, "connections": 4, "timeout_s": 1.0}
    cache = Cache(StorageSettings(**(values | changes)))
    try:
        yield cache
    finally:
        cache.index.close()


def count(web: StoreServer, method: str, part: str) -> int:
    return sum(done == method and part in path for done, path in web.requests)


def test_an_object_is_copied_once_and_asked_for_in_every_command(web: StoreServer, tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path) as cache:
            found = cache.file(f"{web.url}/labels.csv", key="data.labels")
            assert cache.file(f"{web.url}/labels.csv", key="data.labels") == found
        assert found == tmp_path / "http" / web.url.removeprefix("http://") / "labels.csv"
        assert found.read_bytes() == web.objects["labels.csv"]
    assert count(web, "GET", "labels.csv") == 1
    assert count(web, "HEAD", "labels.csv") == 3  # once more after it was copied


def test_another_version_is_fetched(web: StoreServer, tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        found = cache.file(f"{web.url}/labels.csv", key="data.labels")
    web.objects["labels.csv"] = b"AU1,filename\n0,a.jpg\n"
    with opened(tmp_path) as cache:
        assert cache.file(f"{web.url}/labels.csv", key="data.labels").read_bytes() == b"AU1,filename\n0,a.jpg\n"
    assert found.read_bytes() == web.objects["labels.csv"]


def test_a_copy_that_was_changed_is_fetched_again(
    web: StoreServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as cache:
        found = cache.file(f"{web.url}/labels.csv", key="data.labels")
    before = found.stat()
    found.write_bytes(b"AU1,filename\n9,a.jpg\n")
    os.utime(found, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time tell nothing
    with opened(tmp_path) as cache:
        cache.file(f"{web.url}/labels.csv", key="data.labels")
    assert found.read_bytes() == web.objects["labels.csv"]
    assert f"{web.url}/labels.csv: its copy in storage.cache has changed" in caplog.text


@pytest.mark.parametrize("fault", ["cut", "slow", "500"])
def test_a_fault_that_passes_costs_time_alone(web: StoreServer, tmp_path: Path, fault: str) -> None:
    web.faults.kinds["labels.csv"], web.faults.left["labels.csv"] = fault, 1
    with opened(tmp_path) as cache:
        assert cache.file(f"{web.url}/labels.csv", key="k").read_bytes() == web.objects["labels.csv"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("403", r"data.labels: expected permission to read the object, got 'http.*labels.csv' \(403 Forbidden\)"),
        ("404", r"data.labels: expected an object on the store, got none at 'http.*labels.csv'; check the address"),
        ("cut", r"data.labels: expected an object that can be read, got 'http.*labels.csv' \(.+\); check the network"),
        ("500", r"data.labels: expected an object that can be read, got 'http.*labels.csv' \(500"),
        ("stall", r"data.labels: expected an object that can be read, got 'http.*labels.csv' \(.+\); check the net"),
    ],
)
def test_faults_that_stay_are_one_line_and_leave_nothing(
    web: StoreServer, tmp_path: Path, fault: str, words: str
) -> None:
    web.faults.kinds["labels.csv"], web.faults.stall_s = fault, 0.6
    with opened(tmp_path, timeout_s=0.2) as cache, pytest.raises(StorageError, match=words) as caught:
        cache.file(f"{web.url}/labels.csv", key="data.labels")
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*.csv*") if path.is_file()]


def test_an_unreachable_server_is_one_line(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as cache,
        pytest.raises(StorageError, match=r"checkpoint: expected an object that can be read"),
    ):
        cache.file("http://127.0.0.1:9/best.ckpt", key="checkpoint")


def test_an_object_that_changes_while_it_is_read(web: StoreServer, tmp_path: Path) -> None:
    web.faults.kinds["labels.csv"], web.faults.left["labels.csv"] = "change", 1
    with opened(tmp_path) as cache:
        assert cache.file(f"{web.url}/labels.csv", key="k").read_bytes() == b"AU1,filename\n1,a.jpg\n!"
    web.faults.left["labels.csv"], web.objects["labels.csv"] = 100, b"AU1,filename\n"
    words = (
        r"data.labels: expected an object that does not change, got 'http.*labels.csv' \(it changed while it was read"
    )
    with opened(tmp_path) as cache, pytest.raises(StorageError, match=words):
        cache.file(f"{web.url}/labels.csv", key="data.labels")


def test_files_of_a_folder_are_those_that_are_there(web: StoreServer, tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        names = ["./s0//1.jpg", "s2\\25.jpg", "s9/none.jpg", "../secret.jpg", "/etc/passwd", ""]
        folder = cache.files(f"{web.url}/crops", names, key="data.images")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    assert found == ["s0/1.jpg", "s2/25.jpg"]
    assert (folder / "s0/1.jpg").read_bytes() == web.objects["crops/s0/1.jpg"]


def test_a_file_that_is_gone_from_the_store_is_gone_from_its_copy(web: StoreServer, tmp_path: Path) -> None:
    for gone in (False, True):
        if gone:
            del web.objects["crops/s0/1.jpg"]
        with opened(tmp_path) as cache:
            folder = cache.files(f"{web.url}/crops", ["s0/1.jpg", "s0/2.jpg"], key="data.images")
    assert not (folder / "s0/1.jpg").exists()
    assert (folder / "s0/2.jpg").exists()


def test_the_least_recently_used_copy_is_removed(web: StoreServer, tmp_path: Path) -> None:
    room = {"gb": 3500 / 1e9}  # three of the crops
    for names in (["s0/1.jpg"], ["s0/2.jpg"], ["s0/1.jpg"], ["s0/3.jpg", "s0/4.jpg"]):
        with opened(tmp_path, **room) as cache:
            folder = cache.files(f"{web.url}/crops", names, key="data.images")
    assert sorted(path.name for path in folder.rglob("*.jpg")) == ["1.jpg", "3.jpg", "4.jpg"]


def test_the_copies_in_use_must_fit(web: StoreServer, tmp_path: Path) -> None:
    names = [f"s0/{number}.jpg" for number in range(5)]
    with (
        opened(tmp_path, gb=3500 / 1e9) as cache,
        pytest.raises(StorageError, match=r"storage.gb: .* 0.00 GB .* raise it"),
    ):
        cache.files(f"{web.url}/crops", names, key="data.images")
    with opened(tmp_path, gb=3500 / 1e9) as first:
        folder = first.files(f"{web.url}/crops", names[:3], key="data.images")
        with (
            opened(tmp_path, gb=3500 / 1e9) as second,
            pytest.raises(StorageError, match=r"storage.gb: expected at least"),
        ):
            second.files(f"{web.url}/crops", ["s1/10.jpg"], key="data.images")
        assert len(list(folder.rglob("*.jpg"))) == 3


def test_a_disk_without_room_is_refused_before_anything_is_fetched(
    web: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with (
        opened(tmp_path) as cache,
        pytest.raises(StorageError, match=r"storage.cache: expected room for 0.00 GB on the"),
    ):
        cache.file(f"{web.url}/labels.csv", key="k")
    assert count(web, "GET", "labels.csv") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_disk_that_is_full_meanwhile(web: StoreServer, tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        place = tmp_path / "http" / web.url.removeprefix("http://")
        place.mkdir(parents=True)
        (place / f".labels.csv.{os.getpid()}.tmp").symlink_to("/dev/full")
        with pytest.raises(StorageError, match=r"storage.cache: .* got 'No space left on device' for '.*'; free space"):
            cache.file(f"{web.url}/labels.csv", key="k")


@pytest.mark.slow
def test_two_jobs_fill_one_cache(web: StoreServer, tmp_path: Path) -> None:
    code = """
import sys
from faceflow.storage.cache import Cache, StorageSettings
cache = Cache(StorageSettings(cache=sys.argv[1], gb=1, connections=4, timeout_s=5))
folder = cache.files(sys.argv[2], [f"s{n // 10}/{n}.jpg" for n in range(30)], key="data.images")
assert all((folder / f"s{n // 10}/{n}.jpg").read_bytes() == bytes([n]) * 1000 for n in range(30))
"""
    command = [sys.executable, "-c", code, str(tmp_path), f"{web.url}/crops"]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for job in jobs:
        _, errors = job.communicate(timeout=60)
        assert job.returncode == 0, errors
    with opened(tmp_path) as cache:
        known = cache.index.below(f"http/{web.url.removeprefix('http://')}")
        assert sorted(known) == sorted(f"http/{web.url.removeprefix('http://')}/{name}" for name in CROPS)
        held = cache.index.held(known)
    for path, of in held.items():
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == of.sha256
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_job_keeps_the_versions_that_it_uses(web: StoreServer, tmp_path: Path) -> None:
    url = f"{web.url}/labels.csv"
    with opened(tmp_path) as first, opened(tmp_path) as second:
        found = first.file(url, key="data.labels")
        web.objects["labels.csv"] = b"AU1,filename\n0,a.jpg\n"
        with pytest.raises(StorageError, match=r"data.labels: expected the version of .* that process \d+ .* is using"):
            second.file(url, key="data.labels")
        assert found.read_bytes() != web.objects["labels.csv"]
    with opened(tmp_path) as third:  # what the first one used is free
        assert third.file(url, key="data.labels").read_bytes() == web.objects["labels.csv"]


@pytest.mark.slow
def test_copies_used_by_a_killed_job_are_free(web: StoreServer, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from faceflow.storage.cache import Cache, StorageSettings
cache = Cache(StorageSettings(cache=sys.argv[1], gb=1, connections=4, timeout_s=5))
cache.file(sys.argv[2], key="data.labels")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), f"{web.url}/labels.csv"], timeout=60, check=False)
    assert done.returncode == -9
    web.objects["labels.csv"] = b"AU1,filename\n0,a.jpg\n"
    with opened(tmp_path) as cache:
        assert cache.file(f"{web.url}/labels.csv", key="k").read_bytes() == web.objects["labels.csv"]


def test_any_store_of_fsspec(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/faces/a/1.jpg": b"one", "/faces/2.jpg": b"two", "/faces/notes.txt": b"no"})
    try:
        with opened(tmp_path) as cache:
            assert cache.is_folder("memory://faces", key="unlabeled")
            folder = cache.tree("memory://faces", key="unlabeled", take=lambda name: name.endswith(".jpg"))
            assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["1.jpg", "2.jpg"]
        memory.rm("/faces/2.jpg")
        with opened(tmp_path) as cache:
            cache.tree("memory://faces", key="unlabeled", take=lambda name: name.endswith(".jpg"))
        assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["1.jpg"]
    finally:
        memory.rm("/faces", recursive=True)


def test_settings_and_kinds_of_stores_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"storage.gb: expected a number > 0, got 0"), opened(tmp_path, gb=0):
        pass
    with opened(tmp_path) as cache:
        with pytest.raises(ConfigError, match=r"data.labels: expected s3://, .* got s4://; check the"):
            cache.file("s4://bucket/a.csv", key="data.labels")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"data.labels: expected fsspec .*pip install 'faceflow\[storage\]'"):
            cache.file("sftp://host/a.csv", key="data.labels")


def test_a_damaged_index_is_one_line(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    (tmp_path / ".index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"index.sqlite: expected the index of a cache, got .*; check the disk, or"):
        Cache(StorageSettings(cache=str(tmp_path), gb=1, connections=1, timeout_s=1))
