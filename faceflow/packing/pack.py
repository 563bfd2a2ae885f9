"""The pack command: from its config to a packed set and a printed summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceflow.checks import check_choice, check_installed, check_number
from faceflow.console import plain_table, print_lines, print_tables
from faceflow.errors import ConfigError
from faceflow.files import claimed
from faceflow.interruption import kept
from faceflow.packs.layout import Manifest
from faceflow.packs.rows import EXTRA

ERROR, KEEP = "error", "keep"


def pack(cfg: Mapping[str, Any]) -> Manifest:
    """Pack a table with its images, or a folder of images, as configured.

    Args:
        cfg: plain values of `configs/pack.yaml`.

    Raises:
        ConfigError, DataError: a setting out of range, nothing to pack, an image that is missing or broken, an output
            folder with other content, or a result that cannot be written.
    """
    if cfg["output"] is None:
        raise ConfigError("output: expected a folder for the packed set, got null; add output=FOLDER")
    labels, images = (None if cfg[key] is None else str(cfg[key]) for key in ("labels", "images"))
    return pack_rows(
        labels,
        images,
        Path(str(cfg["output"])),
        columns=cfg["columns"],
        shard_mb=cfg["shard_mb"],
        bad_images=cfg["bad_images"],
    )


def check_packing(shard_mb: float) -> None:
    """Check the requirements of packing, before earlier steps start.

    Raises:
        ConfigError: a size out of range, or pyarrow is not installed.
    """
    check_installed("pyarrow", key="pack", install=EXTRA)
    check_number(shard_mb, key="shard_mb", expected="a number of megabytes > 0", valid=lambda x: x > 0)


def pack_rows(
    labels: str | None,
    images: str | None,
    output: Path,
    *,
    columns: Mapping[str, str | None],
    shard_mb: float,
    bad_images: str,
) -> Manifest:
    """Pack a table with its images, or all images of a folder, and print a summary; see `pack`."""
    check_packing(shard_mb)
    check_choice(bad_images, key="bad_images", options=(ERROR, KEEP))
    from faceflow.packing.source import find_rows
    from faceflow.packing.write import write_pack

    with kept(lambda: f"complete shards are kept in {output}; rerun the same command to resume"):
        rows = find_rows(labels, images, columns)
        with claimed(output, key="output", folder=True):
            packed = write_pack(rows, output, shard_bytes=int(shard_mb * 2**20), keep_broken=bad_images == KEEP)
    manifest = packed.manifest
    table = plain_table("Packed", ["set"], ["rows", "images", "broken", "with features", "shards", "GB"])
    size = sum(shard.bytes for shard in manifest.shards)
    numbers = (manifest.rows, manifest.pictures, packed.broken, manifest.features, len(manifest.shards))
    table.add_row(str(output), *(f"{number:,}" for number in numbers), f"{size / 1e9:.2f}")
    print_tables(table)
    following = f"data=csv data.labels={output}" if labels else f"unlabeled={output}"
    print_lines(f"Train on them: faceflow-train {following}")
    return manifest
