"""Small packed sets."""

from __future__ import annotations

from pathlib import Path

from faceflow.packing.source import find_rows
from faceflow.packing.write import Packed, write_pack
from tests.helpers.faces import write_csv_dataset

COLUMNS = {"filename": "filename"}


def make_pack(folder: Path, output: Path, *, shard_bytes: int = 4000, keep_broken: bool = False) -> Packed:
    """Pack the labels.csv of a folder, with the images in its subfolder `images`."""
    rows = find_rows(str(folder / "labels.csv"), str(folder / "images"), COLUMNS)
    return write_pack(rows, output, shard_bytes=shard_bytes, keep_broken=keep_broken)


def packed_faces(folder: Path, *, subjects: int = 3, frames: int = 4, shard_bytes: int = 4000) -> tuple[Path, Path]:
    """Write a data set and pack it; returns both folders."""
    faces = write_csv_dataset(folder / "faces", aus=("AU1", "AU12"), subjects=subjects, frames=frames)
    make_pack(faces, folder / "pack", shard_bytes=shard_bytes)
    return faces, folder / "pack"
