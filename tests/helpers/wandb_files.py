"""Reads W&B's offline log: LevelDB's record format after a header of seven bytes."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

_MAGIC, _HEADER, _BLOCK, _CHUNK = b":W&B", 7, 32768, 7
_WHOLE, _LAST = 1, 4
_PATIENCE = 20  # s


@dataclass(frozen=True)
class OfflineRun:
    """The records of one offline run."""

    folder: Path
    records: list[Any]

    @classmethod
    def read(cls, folder: Path) -> OfflineRun:
        """Read a finished run; W&B's own process can write its last records shortly after `finish` has returned."""
        (log,) = folder.glob("run-*.wandb")
        deadline = time.monotonic() + _PATIENCE
        while not (found := cls(folder, list(_records(log.read_bytes())))).exit_codes:
            assert time.monotonic() < deadline, f"{log}: no end of the run"
            time.sleep(0.05)
        return found

    def kind(self, name: str) -> list[Any]:
        return [getattr(record, name) for record in self.records if record.WhichOneof("record_type") == name]

    @property
    def run(self) -> Any:
        return self.kind("run")[0]

    @property
    def config(self) -> dict[str, Any]:
        return {update.key: json.loads(update.value_json) for update in self.run.config.update}

    @property
    def exit_codes(self) -> list[int]:
        return [record.exit_code for record in self.kind("exit")]

    def history(self, key: str) -> list[Any]:
        """Values logged under a key."""
        items = [item for record in self.kind("history") for item in record.item]
        return [json.loads(item.value_json) for item in items if list(item.nested_key) == [key] or item.key == key]

    def summary(self) -> dict[str, Any]:
        updates = [update for record in self.kind("summary") for update in record.update]
        return {update.key or "/".join(update.nested_key): json.loads(update.value_json) for update in updates}

    def charts(self) -> set[str]:
        updates = [update for record in self.kind("config") for update in record.update]
        return {update.nested_key[2] for update in updates if list(update.nested_key[:2]) == ["_wandb", "visualize"]}

    def artifacts(self, kind: str) -> list[Any]:
        return [artifact for artifact in self.kind("artifact") if artifact.type == kind]

    def tables(self, name: str) -> list[dict[str, Any]]:
        """Tables of a key, in order of their steps."""
        files = (self.folder / "files" / "media" / "table").glob(f"{name}_*.table.json")
        return [
            json.loads(file.read_text("utf-8"))
            for file in sorted(files, key=lambda file: int(file.stem.split("_")[-2]))
        ]

    def pictures(self) -> list[str]:
        """Image files beside the log and in its artifacts."""
        found = [str(path) for path in self.folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg")]
        entries = [entry.path for artifact in self.kind("artifact") for entry in artifact.manifest.contents]
        return found + [path for path in entries if path.lower().endswith((".png", ".jpg", ".jpeg"))]


def offline_runs(folder: Path) -> list[OfflineRun]:
    """Offline runs in a run folder, in order of their start."""
    return [OfflineRun.read(path) for path in sorted((folder / "wandb").glob("offline-run-*"))]


def _records(content: bytes) -> Iterator[Any]:
    assert content.startswith(_MAGIC) or not content, f"no log of wandb {wandb.__version__}"
    position, parts = _HEADER, b""
    while position + _CHUNK <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _CHUNK:  # padding at the end of a block
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        position += _CHUNK
        if position + length > len(content):  # being written
            return
        parts += content[position : position + length]
        position += length
        if kind in (_WHOLE, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record
