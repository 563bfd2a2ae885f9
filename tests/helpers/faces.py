"""Small CSV data sets of real image files, and settings and tables made from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from faceflow.aus import Kind
from faceflow.data.source_config import SourceConfig
from faceflow.data.sources import FaceTable, read_source


def write_csv_dataset(
    folder: Path,
    *,
    aus: Sequence[str],
    subjects: int,
    frames: int,
    size: int = 32,
    seed: int = 0,
    domains: Sequence[str] = (),
    columns: Mapping[str, Sequence[object] | None] | None = None,
) -> Path:
    """Write `labels.csv` and `images/<subject>/<frame>.jpg` (odd frames .png) under a folder, and return the folder.

    Scores are FACS intensities 0-5; with two or more frames, every subject has scores below 2 and of at least 2 for
    every AU.

    Args:
        folder: created if missing.
        aus: headers of the label columns.
        subjects, frames: number of subjects s0, s1, ..., and of images per subject.
        size: height and width of the images, px.
        seed: seed of the pixels.
        domains: assigned to the subjects in turn; if empty, there is no such column.
        columns: additional or replaced columns; None leaves a column out.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for subject in range(subjects):
        (folder / f"images/s{subject}").mkdir(parents=True, exist_ok=True)
        for frame in range(frames):
            filename = f"s{subject}/{frame}.{'png' if frame % 2 else 'jpg'}"
            write_image(folder / "images" / filename, smooth_image(rng, size))
            scores = {au: _score(subject, frame, number) for number, au in enumerate(aus)}
            domain = {"domain": domains[subject % len(domains)]} if domains else {}
            rows.append({**scores, "filename": filename, "subject": f"s{subject}", **domain})
    labels = {header: [row[header] for row in rows] for header in rows[0]} | dict(columns or {})
    kept = {header: values for header, values in labels.items() if values is not None}
    pd.DataFrame(kept).to_csv(folder / "labels.csv", index=False)
    return folder


def made_up_hashes(files: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Hashes for tables whose files do not exist: different paths have different hashes."""
    paths = [str(file) for file in np.asarray(files).tolist()]
    return np.array([int.from_bytes(hashlib.sha256(path.encode()).digest()[:7]) for path in paths], np.int64)


def smooth_image(rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """RGB image of smooth random colours, which survive JPEG and are unique to each image."""
    coarse = rng.integers(20, 235, (4, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_image(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write an RGB image in the format given by its suffix."""
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def source_settings(**changes: Any) -> dict[str, Any]:
    """Settings of one data set from `configs/data/source/default.yaml`; keyword arguments change them."""
    settings: dict[str, Any] = {
        **dict.fromkeys(("labels", "train", "val", "test", "images", "name", "identities"), None),
        **dict.fromkeys(("score_max", "occurrence_min", "domains"), None),
        "columns": {name: name for name in ("filename", "subject", "domain")},
        "missing_values": [],
        "bad_images": "error",
    }
    assert not changes.keys() - settings.keys()
    return settings | {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}


def unlabeled_settings(path: Path | str | Sequence[Path] | None, **changes: Any) -> dict[str, Any]:
    """Settings of one set from `configs/data/unlabeled/default.yaml`; keyword arguments change them."""
    settings: dict[str, Any] = {
        **dict.fromkeys(("images", "name", "identities", "domains", "score_max", "occurrence_min"), None),
        "path": path if path is None or isinstance(path, str | Path) else [str(part) for part in path],
        "exclude": [],
        "columns": {name: name for name in ("filename", "subject", "domain")},
        "missing_values": [],
        "bad_images": "skip",
    }
    assert not changes.keys() - settings.keys()
    settings |= changes
    return {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}


def read_tables_of(key: str = "faces", *, prefer: Kind = "intensity", **settings: Any) -> list[FaceTable]:
    """Read one data set with default settings; keyword arguments change them."""
    return read_source(key, SourceConfig(**source_settings(**settings)), prefer=prefer)


def read_folder(folder: Path, **settings: Any) -> FaceTable:
    """Table of a folder written by `write_csv_dataset`, named after the folder."""
    labels, images = folder / "labels.csv", folder / "images"
    (table,) = read_tables_of(folder.name, labels=labels, images=images, **settings)
    return table


def _score(subject: int, frame: int, column: int) -> int:
    turn = subject + frame
    return 2 + turn % 4 if (frame + column) % 2 == 0 else turn % 2
