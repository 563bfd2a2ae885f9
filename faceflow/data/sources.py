"""Data sets: label files and an images folder become one checked table."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, side_of
from faceflow.data.label_scales import check_limits, find_scales, scales_for
from faceflow.data.labels import LabelFile, Truth, read_labels, scores_for
from faceflow.encoding import Array, LabelScale, occurs, to_facs
from faceflow.errors import ConfigError, DataError, suggest
from faceflow.images import find_faults

Texts = NDArray[np.str_]
Rows = NDArray[np.intp]
SPLITS = ("train", "val", "test")
UNLABELED = "unlabeled"  # split of the faces whose labels training does not see


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """What the configs of labelled and of unlabelled data sets share."""

    images: str | None
    name: str | None
    identities: str | None
    score_max: float | dict[str, float | None] | None
    occurrence_min: float | dict[str, float | None] | None
    missing_values: list[float]
    domains: list[str] | None
    bad_images: str


@dataclass(frozen=True, kw_only=True)
class SourceConfig(TableConfig):
    """One data set as its config states it; `configs/data/source/default.yaml` explains every key."""

    labels: str | None
    train: str | None
    val: str | None
    test: str | None


@dataclass(frozen=True, kw_only=True)
class FaceTable:
    """N face crops of one data set; C = 0 label columns where it has none.

    `scores` (N, C) are in the label units of `scales`, one per column, with NaN = missing; `persons` identify who must
    stay in one split: the subject where the data set names it, else the file.
    """

    name: str
    columns: tuple[str, ...]
    scales: tuple[LabelScale, ...]
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

    def select(self, rows: NDArray[np.bool_] | Rows, split: str | None) -> FaceTable:
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
        scores, scales = scores_for(aus, self.columns, self.scores), self.scales_for(aus)
        observed = np.isfinite(scores)
        graded = np.array([not scale.binary for scale in scales], np.bool_)
        return Truth(
            aus=tuple(aus),
            occurrence=occurs(scores, scales) & observed,
            intensity=np.where(graded, to_facs(scores, scales), np.nan),
            observed=observed,
        )

    def scales_for(self, aus: Sequence[str]) -> list[LabelScale]:
        """Units of the labels of some AUs."""
        return scales_for(aus, self.columns, self.scales)

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
    where = f"data.sources.{key}"
    check_settings(where, config)
    paths = _label_paths(where, config)
    files = {
        split: read_labels(
            path, missing_values=config.missing_values, prefer=prefer, key=f"{where}.{split or 'labels'}"
        )
        for split, path in paths.items()
    }
    scales = find_scales(where, list(files.values()), config.score_max, config.occurrence_min)
    name = config.name or (_name_of([file.path for file in files.values()]) if key == "csv" else key)
    tables = []
    for split, file in files.items():
        table, rows = list_faces(where, config, file, name=name, scales=scales, split=split)
        tables.append(_with_images(where, config, file, table, rows))
    return tables


def check_settings(key: str, config: TableConfig) -> None:
    """Check what labelled and unlabelled data sets share; `key` is the full config key."""
    if config.bad_images not in ("error", "skip"):
        raise ConfigError(f"{key}.bad_images: expected error or skip, got '{config.bad_images}'")
    for setting in ("score_max", "occurrence_min"):
        check_limits(getattr(config, setting), key=f"{key}.{setting}")
    missing, domains = config.missing_values, config.domains
    if not isinstance(missing, list) or not all(map(_is_number, missing)):
        raise ConfigError(f"{key}.missing_values: expected a list of numbers such as [9], got {missing!r}")
    if domains is not None and not (isinstance(domains, list) and domains and all(isinstance(d, str) for d in domains)):
        raise ConfigError(f"{key}.domains: expected a list of names, or null for all, got {domains!r}")


def images_folder(config: TableConfig, file: LabelFile) -> Path:
    """Folder that the file names of a CSV are relative to."""
    return Path(config.images).expanduser() if config.images else file.path.parent


def list_faces(
    key: str, config: TableConfig, file: LabelFile, *, name: str, scales: Mapping[str, LabelScale], split: str | None
) -> tuple[FaceTable, Rows]:
    """Make a table of a CSV without opening its images, and say which row of the CSV each of its rows is.

    `scales` are the units of the labels by AU.
    """
    rows = _without_duplicates(file)
    duplicates = len(file.frame) - len(rows)
    if config.domains is not None:
        rows = rows[_in_domains(key, config.domains, file)[rows]]
    frame = file.frame.iloc[rows]
    has_subjects = _has_subjects(file, rows)
    persons = frame["subject"] if has_subjects else frame["filename"]
    namespace = config.identities or name
    return FaceTable(
        name=name,
        columns=file.aus,
        scales=tuple(scales[au] for au in file.aus),
        scores=file.scores[rows],
        files=_image_paths(key, file, rows, images_folder(config, file)),
        filenames=np.asarray(frame["filename"], np.str_),
        persons=np.asarray([f"{namespace}/{person}" for person in persons], np.str_),
        has_subjects=has_subjects,
        domains=np.asarray(frame["domain"], np.str_) if "domain" in frame.columns else None,
        split=split,
        duplicates=duplicates,
        skipped=0,
    ), rows


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label_paths(key: str, config: SourceConfig) -> dict[str | None, str]:
    parts: dict[str | None, str] = {split: path for split in SPLITS if (path := getattr(config, split))}
    if config.labels and parts:
        raise ConfigError(f"{key}: expected either labels or train/val/test, got both; remove one")
    if not config.labels and not parts:
        raise ConfigError(f"{key}.labels: expected the path of a CSV, got nothing; set it")
    return {None: config.labels} if config.labels else parts


def _name_of(paths: Sequence[Path]) -> str:
    """Name a data set by its CSV, or by their folder where there are several or the file name says nothing."""
    first = paths[0].resolve()
    plain = len(paths) > 1 or first.stem.lower() in ("labels", "label", "data", *SPLITS)
    return first.parent.name if plain and first.parent.name else first.stem


def _without_duplicates(file: LabelFile) -> Rows:
    """Rows to keep: the first of rows that repeat a file and all that is said of it."""
    names = np.asarray([os.path.normpath(name) for name in file.frame["filename"]], np.str_)
    _, firsts, which = np.unique(names, return_index=True, return_inverse=True)
    first = firsts[which]
    alike = (file.scores == file.scores[first]) | (np.isnan(file.scores) & np.isnan(file.scores[first]))
    same = alike.all(axis=1)
    for column in {"subject", "domain"} & set(file.frame.columns):
        texts = file.frame[column].to_numpy(np.str_)
        same &= texts == texts[first]
    if not same.all():
        row = int(np.argmin(same))
        raise DataError(
            f"{file.where(row)}: expected one label row per image, got '{file.frame['filename'].iloc[row]}' with other "
            f"labels, subject or domain than in line {file.lines[first[row]]}; keep the right one"
        )
    return np.flatnonzero(first == np.arange(len(first)))


def _in_domains(key: str, domains: Sequence[str], file: LabelFile) -> NDArray[np.bool_]:
    if "domain" not in file.frame.columns:
        raise DataError(f"{file.path}: expected a column 'domain' for {key}.domains; add it")
    known = set(file.frame["domain"])
    if absent := sorted(set(domains) - known):
        raise ConfigError(
            f"{key}.domains: expected values of the 'domain' column, got '{absent[0]}', which is not in "
            f"{file.path}; {suggest(absent[0], known)}"
        )
    return file.frame["domain"].isin(domains).to_numpy(bool)


def _has_subjects(file: LabelFile, rows: Rows) -> bool:
    """Whether the rows name their subjects; some without would be split as if they were other persons."""
    if "subject" not in file.frame.columns:
        return False
    named = (file.frame["subject"] != "").to_numpy(bool)[rows]
    if named.any() and not named.all():
        row = int(rows[np.argmin(named)])
        raise DataError(
            f"{file.where(row)}: expected a subject, got an empty cell; fill in the subject of every row, or "
            "remove the column"
        )
    return bool(named.all())


def _image_paths(key: str, file: LabelFile, rows: Rows, images: Path) -> Texts:
    """Absolute path of the image of every row."""
    if not images.is_dir():
        raise DataError(f"{key}.images: expected a folder, got '{images}'; check the path")
    root = os.path.abspath(images)  # noqa: PTH100  (a link to the images may point anywhere; only the name must stay)
    inside = root.rstrip(os.sep) + os.sep
    names = file.frame["filename"].iloc[rows].tolist()
    paths = [os.path.normpath(os.path.join(root, name)) for name in names]  # noqa: PTH118
    for row, name, path in zip(rows, names, paths, strict=True):
        if not path.startswith(inside):
            raise DataError(
                f"{file.where(int(row))}: expected a file inside '{images}', got '{name}'; "
                f"write filename relative to {key}.images"
            )
    return np.asarray(paths, np.str_)


def _with_images(key: str, config: SourceConfig, file: LabelFile, table: FaceTable, rows: Rows) -> FaceTable:
    """The rows of a table whose images are there and whole."""
    faults = find_faults(table.files.tolist())
    if faults and config.bad_images == "error":
        position, fault = min(faults.items())
        others = f" (and {len(faults) - 1} more broken files)" if len(faults) > 1 else ""
        raise DataError(
            f"{file.where(int(rows[position]))}: expected an image, got {fault}: '{table.files[position]}'{others}; "
            f"mend it, or leave such rows out with {key}.bad_images=skip"
        )
    if len(faults) == len(table):
        images = images_folder(config, file)
        raise DataError(f"{file.path}: expected images in '{images}', got none that can be read; check both paths")
    good = np.ones(len(table), np.bool_)
    good[list(faults)] = False
    return dataclasses.replace(table.select(good, table.split), skipped=len(faults))
