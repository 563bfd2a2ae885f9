"""Data sets: label files and an images folder become one checked table."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, side_of
from faceflow.data.images import find_faults
from faceflow.data.labels import LabelFile, find_scale, read_labels, scores_for
from faceflow.encoding import Array, LabelScale, occurs, to_facs
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Texts = NDArray[np.str_]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One data set as its config states it; `configs/data/source/default.yaml` explains every key."""

    labels: str | None
    train: str | None
    val: str | None
    test: str | None
    images: str | None
    name: str | None
    identities: str | None
    score_max: float | None
    occurrence_min: float | None
    missing_values: list[float]
    domains: list[str] | None
    bad_images: str


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of N rows: `occurrence` (N, A) bool, `intensity` (N, A) FACS 0-5 or NaN, `observed` (N, A)."""

    aus: tuple[str, ...]
    occurrence: NDArray[np.bool_]
    intensity: Array
    observed: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class FaceTable:
    """N labelled face crops of one data set.

    `scores` (N, C) are in label units with NaN = missing; `persons` identify who must stay in one split: the
    subject where the data set names it, else the file.
    """

    name: str
    columns: tuple[str, ...]
    scale: LabelScale
    scores: Array
    files: Texts
    filenames: Texts
    persons: Texts
    has_subjects: bool
    domains: Texts | None
    split: str | None
    duplicates: int
    skipped: int

    def __len__(self) -> int:
        """Count of rows."""
        return len(self.files)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp], split: str | None) -> FaceTable:
        """Keep some rows, as part of a split."""
        return dataclasses.replace(
            self,
            scores=self.scores[rows],
            files=self.files[rows],
            filenames=self.filenames[rows],
            persons=self.persons[rows],
            domains=None if self.domains is None else self.domains[rows],
            split=split,
        )

    def truth(self, aus: Sequence[str]) -> Truth:
        """Labels of some AUs; intensities only where the data set grades them."""
        scores = scores_for(aus, self.columns, self.scores)
        observed = np.isfinite(scores)
        intensity = np.full_like(scores, np.nan) if self.scale.binary else to_facs(scores, self.scale)
        return Truth(
            aus=tuple(aus),
            occurrence=occurs(scores, self.scale) & observed,
            intensity=intensity,
            observed=observed,
        )

    def unsided(self, aus: Sequence[str]) -> set[str]:
        """Joined names of the one-sided AUs that this data set labels without their side."""
        return {joined(au) for au in aus if side_of(au) and au not in self.columns and joined(au) in self.columns}

    def fingerprint(self) -> str:
        """SHA-256 over file names, persons and labels: equal for equal data, wherever it lies."""
        digest = hashlib.sha256("\n".join(self.columns).encode())
        for filename, person in zip(self.filenames, self.persons, strict=True):
            digest.update(f"{filename}\0{person}\n".encode())
        digest.update(np.nan_to_num(self.scores, nan=-1.0).tobytes())
        return digest.hexdigest()


def read_source(key: str, config: SourceConfig, *, prefer: Kind) -> list[FaceTable]:
    """Read the label files of one data set and check its images.

    Args:
        key: the data set's key under `data.sources`.
        config: its settings.
        prefer: column to take where a tool wrote both intensity and occurrence.

    Returns:
        One table without a split for `labels`, or one per split for `train`, `val`, `test`.

    Raises:
        ConfigError, DataError: settings that contradict, or labels or images that break the contract.
    """
    paths = _label_paths(key, config)
    files = {
        split: read_labels(
            path,
            missing_values=config.missing_values,
            prefer=prefer,
            key=f"data.sources.{key}.{split or 'labels'}",
        )
        for split, path in paths.items()
    }
    scale = find_scale(key, list(files.values()), config.score_max, config.occurrence_min)
    return [_table(key, config, file, scale, split) for split, file in files.items()]


def _label_paths(key: str, config: SourceConfig) -> dict[str | None, str]:
    parts: dict[str | None, str] = {split: path for split in SPLITS if (path := getattr(config, split))}
    if config.bad_images not in ("error", "skip"):
        raise ConfigError(f"data.sources.{key}.bad_images: expected error or skip, got '{config.bad_images}'")
    if config.labels and parts:
        raise ConfigError(f"data.sources.{key}: expected either labels or train/val/test, got both; remove one")
    if not config.labels and not parts:
        raise ConfigError(f"data.sources.{key}.labels: expected the path of a CSV, got nothing; set it")
    return {None: config.labels} if config.labels else parts


def _table(key: str, config: SourceConfig, file: LabelFile, scale: LabelScale, split: str | None) -> FaceTable:
    name = config.name or (_name_of(file.path) if key == "csv" else key)
    kept = _without_duplicates(file)
    frame = file.frame.iloc[kept]
    if config.domains is not None:
        if "domain" not in frame.columns:
            raise DataError(f"{file.path}: expected a column 'domain' for data.sources.{key}.domains; add it")
        inside = frame["domain"].isin(config.domains).to_numpy(bool)
        if absent := sorted(set(config.domains) - set(frame["domain"])):
            known = ", ".join(sorted(set(frame["domain"]))[:10])
            raise ConfigError(f"data.sources.{key}.domains: '{absent[0]}' is not in {file.path}; known: {known}")
        kept, frame = kept[inside], frame[inside]
    filenames = np.asarray(frame["filename"].str.strip(), np.str_)
    images = Path(config.images).expanduser() if config.images else file.path.parent
    paths, good = _image_paths(key, config, file, kept, filenames, images)
    has_subjects = "subject" in frame.columns and bool(frame["subject"].str.strip().ne("").all())
    persons = frame["subject"].str.strip() if has_subjects else frame["filename"].str.strip()
    namespace = config.identities or name
    return FaceTable(
        name=name,
        columns=file.aus,
        scale=scale,
        scores=file.scores[kept][good],
        files=paths[good],
        filenames=filenames[good],
        persons=np.asarray([f"{namespace}/{person}" for person in persons], np.str_)[good],
        has_subjects=has_subjects,
        domains=np.asarray(frame["domain"], np.str_)[good] if "domain" in frame.columns else None,
        split=split,
        duplicates=len(file.frame) - len(_without_duplicates(file)),
        skipped=int((~good).sum()),
    )


def _name_of(path: Path) -> str:
    """Name a CSV by its file, or by its folder where the file name says nothing."""
    return path.resolve().parent.name if path.stem.lower() in ("labels", "label", "data", *SPLITS) else path.stem


def _without_duplicates(file: LabelFile) -> NDArray[np.intp]:
    """Rows to keep: the first of rows that repeat a file with the same labels."""
    repeated = file.frame.duplicated("filename").to_numpy(bool)
    first = {name: row for row, name in reversed(list(enumerate(file.frame["filename"])))} if repeated.any() else {}
    for row in np.flatnonzero(repeated):
        other = first[file.frame["filename"].iloc[row]]
        if not np.array_equal(file.scores[row], file.scores[other], equal_nan=True):
            raise DataError(
                f"{file.where(int(row))}: expected one label row per image, got '{file.frame['filename'].iloc[row]}' with "
                f"other labels than in line {file.lines[other]}; keep the right one"
            )
    return np.flatnonzero(~repeated)


def _image_paths(
    key: str, config: SourceConfig, file: LabelFile, rows: NDArray[np.intp], filenames: Texts, images: Path
) -> tuple[Texts, NDArray[np.bool_]]:
    """Absolute path of every image, and which of them are there and whole."""
    if not images.is_dir():
        raise DataError(f"data.sources.{key}.images: expected a folder, got '{images}'; check the path")
    root = os.path.abspath(images)  # noqa: PTH100  (a link to the images may point anywhere; only the name must stay)
    paths = [os.path.normpath(os.path.join(root, name)) for name in filenames]  # noqa: PTH118
    for position, path in enumerate(paths):
        if not path.startswith(root + os.sep):
            raise DataError(
                f"{file.where(int(rows[position]))}: expected a file inside '{images}', got '{filenames[position]}'; "
                f"write filename relative to data.sources.{key}.images"
            )
    faults = find_faults(paths)
    if faults and config.bad_images == "error":
        position, fault = min(faults.items())
        others = f" (and {len(faults) - 1} more broken files)" if len(faults) > 1 else ""
        raise DataError(
            f"{file.where(int(rows[position]))}: expected an image, got {fault}: '{paths[position]}'{others}; "
            f"mend it, or leave such rows out with data.sources.{key}.bad_images=skip"
        )
    good = np.ones(len(paths), np.bool_)
    good[list(faults)] = False
    if not good.any():
        raise DataError(f"{file.path}: expected images in '{images}', got none that can be read; check both paths")
    return np.asarray(paths, np.str_), good
