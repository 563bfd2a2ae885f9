"""A run folder on a store: its content after checkpoints, after failures, and at the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceflow.errors import ConfigError, StorageError
from faceflow.storage import mirror as module
from faceflow.storage.mirror import Mirror, mirrored
from faceflow.storage.store import FAILED, Store, StoreError

fsspec = pytest.importorskip("fsspec")

URL = "memory://runs/one"


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/runs"):
        system.rm("/runs", recursive=True)


def write(folder: Path, **files: str) -> None:
    """Write `best`, `last` and `metrics` as a run does: whole, by a rename."""
    names = {"best": "checkpoints/best.ckpt", "last": "checkpoints/last.ckpt", "metrics": "metrics.csv"}
    for name, text in files.items():
        path = folder / names[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.1.tmp")
        partial.write_text(text)
        partial.replace(path)


def there(memory: fsspec.AbstractFileSystem) -> dict[str, bytes]:
    return {path.removeprefix("/runs/one/"): memory.cat(path) for path in memory.find("/runs/one")}


def test_all_that_a_run_left_is_there_at_its_end(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    with mirrored(URL, tmp_path, timeout_s=1, replaces=False) as mirror:
        write(tmp_path, best="b1", last="l1", metrics="m1")
        (tmp_path / ".hydra").mkdir()
        (tmp_path / ".hydra/config.yaml").write_text("seed: 0")
        (tmp_path / ".claim").write_text("process 1")
        mirror.update()
        write(tmp_path, best="b2", last="l2", metrics="m2")
    found = there(memory)
    assert found == {
        ".hydra/config.yaml": b"seed: 0",
        "checkpoints/best.ckpt": b"b2",
        "checkpoints/last.ckpt": b"l2",
        "metrics.csv": b"m2",
    }
    assert not (tmp_path / ".mirror").exists()


def test_checkpoints_of_one_moment_are_copied_together_and_the_last_one_last(tmp_path: Path) -> None:
    copied: list[tuple[str, str]] = []

    class Recording(Store):
        def put(self, path: Path, url: str) -> None:
            copied.append((url.rpartition("/")[2], path.read_text()))
            write(tmp_path, best="b2", last="l2")  # the next epoch ends while this one is being copied

    write(tmp_path, best="b1", last="l1")
    mirror = Mirror(tmp_path, URL, Recording(None, "memory"), there=set())
    mirror.update()
    mirror.stop()
    assert copied == [("best.ckpt", "b1"), ("last.ckpt", "l1")]


def test_checkpoints_that_the_run_removed_go_and_files_of_others_stay(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    others = {"fold2/checkpoints/best.ckpt": b"of another job", "notes.txt": b"n"}
    memory.pipe({f"/runs/one/{name}": content for name, content in {"checkpoints/old.ckpt": b"o", **others}.items()})
    write(tmp_path, best="b1")
    with mirrored(URL, tmp_path, timeout_s=1, replaces=True):
        pass
    assert there(memory) == {"checkpoints/best.ckpt": b"b1", **others}


def test_results_of_another_run_are_kept(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe({"/runs/one/fold1/metrics.json": b"{}"})
    words = (
        r"mirror: expected an address without results, got 'memory://runs/one' with fold1/metrics.json of an earlier"
    )
    with pytest.raises(ConfigError, match=words), mirrored(URL, tmp_path, timeout_s=1, replaces=False):
        pass
    assert there(memory) == {"fold1/metrics.json": b"{}"}


def test_a_store_that_fails_costs_no_work(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Store):
        def put(self, path: Path, url: str) -> None:
            raise StoreError(FAILED, "503 Slow Down")

    caplog.set_level(logging.INFO)
    write(tmp_path, best="b1", last="l1", metrics="m1")
    mirror = Mirror(tmp_path, URL, Failing(memory, "memory"), there=set())
    mirror.update()
    mirror.finish()
    first, last = [record.getMessage() for record in caplog.records]
    assert first == (
        "mirror: expected a writable store, got 'memory://runs/one' (503 Slow Down); the run goes on "
        "and tries again at its next checkpoint"
    )
    assert last == (
        "mirror: 3 files of the run were not copied to 'memory://runs/one' (503 Slow Down): checkpoints/best.ckpt, "
        f"metrics.csv, checkpoints/last.ckpt; copy them from {tmp_path}, which has all files"
    )


def test_a_run_that_fails_waits_for_what_is_being_copied(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    write(tmp_path, best="b1", last="l1")

    def run() -> None:
        with mirrored(URL, tmp_path, timeout_s=1, replaces=False) as mirror:
            mirror.update()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert there(memory) == {"checkpoints/best.ckpt": b"b1", "checkpoints/last.ckpt": b"l1"}


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "mirror: expected a writable store, such as s3://bucket/run, got 'https://host/run'"
    with pytest.raises(ConfigError, match=words), mirrored("https://host/run", tmp_path, timeout_s=1, replaces=False):
        pass

    class ReadOnly(Store):
        def write(self, url: str, content: bytes) -> None:
            raise StoreError("forbidden", "Access Denied")

    monkeypatch.setattr(module, "open_store", lambda *_, **__: ReadOnly(fsspec.filesystem("memory"), "memory"))
    words = r"mirror: expected a writable store, got 'memory://runs/one' \(Access Denied\); check the address"
    with pytest.raises(StorageError, match=words), mirrored(URL, tmp_path, timeout_s=1, replaces=False):
        pass
