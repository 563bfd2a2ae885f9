"""Data sets: label files and an image folder become one checked table."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, side_of
from faceflow.data.label_scales import find_scales, scales_for
from faceflow.data.labels import LabelFile, Truth, read_labels, scores_for
from faceflow.data.packed import pictures_of, source_of
from faceflow.data.rows import (
    Rows,
    Texts,
    crops_beside,
    has_subjects,
    image_paths,
    in_domains,
    like_it,
    with_slashes,
    without_duplicates,
)
from faceflow.data.source_config import SourceConfig, TableConfig, check_settings
from faceflow.data.subject_ids import identity_of, shared_pictures
from faceflow.encoding import Array, LabelScale, occurs, to_facs
from faceflow.errors import ConfigError, DataError
from faceflow.images import find_faults, hash_contents

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
UNLABELED = "unlabeled"  # split of the faces whose labels training does not see


@dataclass(frozen=True, kw_only=True)
class FaceTable:
    """N face crops of one data set with C label columns, C = 0 if it has none.

    `scores` (N, C) are in the label units of `scales`, one per column, NaN = missing. `subjects` say what must stay in
    one split: the subject if the data set names it, else the file. `identities` are the same with normalised subject
    ids, before subjects that turn out to be the same are merged; `pictures` are hashes of the files' contents. `notes`
    list the assumptions in reading the labels; `labelled_by` names the models that made labels, and `coders` the coder
    of each row, if there is such a column. `attributes` are texts (N,) of the requested label columns that exist, ""
    for an empty cell; `further` names all columns that are not AUs.
    """

    name: str
    columns: tuple[str, ...]
    scales: tuple[LabelScale, ...]
    scores: Array
    files: Texts
    filenames: Texts
    subjects: Texts
    identities: Texts
    pictures: NDArray[np.int64]
    has_subjects: bool
    domains: Texts | None
    split: str | None
    duplicates: int
    skipped: int
    notes: tuple[str, ...] = ()
    labelled_by: tuple[str, ...] = ()
    videos: Texts | None = None
    attributes: Mapping[str, Texts] = field(default_factory=dict)
    further: tuple[str, ...] = ()
    coders: Texts | None = None

    def __len__(self) -> int:
        """Count of rows."""
        return len(self.files)

    def select(self, rows: NDArray[np.bool_] | Rows, split: str | None) -> FaceTable:
        """Select rows, as part of a split."""
        return dataclasses.replace(
            self,
            scores=self.scores[rows],
            files=self.files[rows],
            filenames=self.filenames[rows],
            subjects=self.subjects[rows],
            identities=self.identities[rows],
            pictures=self.pictures[rows],
            domains=None if self.domains is None else self.domains[rows],
            videos=None if self.videos is None else self.videos[rows],
            attributes={name: texts[rows] for name, texts in self.attributes.items()},
            coders=None if self.coders is None else self.coders[rows],
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
        """SHA-256 over images, subjects and labels: equal for equal data, whatever the names of files and folders."""
        digest = hashlib.sha256("\n".join(self.columns).encode())
        digest.update(self.pictures.tobytes())
        for identity in self.identities.tolist() if self.has_subjects else ():
            digest.update(identity.partition("/")[2].encode() + b"\0")
        digest.update(repr(self.scales).encode())
        digest.update(np.nan_to_num(self.scores, nan=-1.0).tobytes())
        return digest.hexdigest()


def read_source(key: str, config: SourceConfig, *, prefer: Kind, attributes: Sequence[str] = ()) -> list[FaceTable]:
    """Read the label files of one data set and check its images.

    Args:
        key: the data set's key under `data.sources`.
        config: its settings.
        prefer: column to read if a tool wrote both intensity and occurrence.
        attributes: other columns to keep, see `FaceTable`.

    Returns:
        One table without a split for `labels`, or one per split for `train`, `val`, `test`.

    Raises:
        ConfigError, DataError: contradictory settings, or invalid labels or images.
    """
    where = f"data.sources.{key}"
    check_settings(where, config)
    paths = _label_paths(where, config)
    files = {
        split: read_labels(
            path,
            missing_values=config.missing_values,
            prefer=prefer,
            columns=config.columns,
            key=f"{where}.{split or 'labels'}",
            attributes=attributes,
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


def images_folder(config: TableConfig, file: LabelFile) -> Path:
    """Folder that the file names of a CSV are relative to; for a CSV of faceflow-crop, the folder of crops."""
    images = Path(config.images).expanduser() if config.images else None
    return pictures_of(file.path, images) or images or crops_beside(file.path) or file.path.parent


def list_faces(
    key: str, config: TableConfig, file: LabelFile, *, name: str, scales: Mapping[str, LabelScale], split: str | None
) -> tuple[FaceTable, Rows]:
    """Make a table from a CSV without opening its images; also return the CSV row of each of its rows.

    `scales` are the units of the labels by AU. The table's `pictures` are all 0 until the images are hashed.
    """
    file = with_slashes(file, images_folder(config, file))
    rows = without_duplicates(file)
    duplicates = len(file.frame) - len(rows)
    if config.domains is not None:
        rows = rows[in_domains(key, config.domains, file)[rows]]
    frame = file.frame.iloc[rows]
    named = has_subjects(file, rows)
    # Ids of one namespace mean the same subjects; equal file names of two label files mean nothing.
    namespace = (config.identities or name) if named else f"{name}:{split}" if split in SPLITS else name
    subjects = [f"{namespace}/{subject}" for subject in frame["subject" if named else "filename"].tolist()]
    labellers = file.labelled_by(rows)
    return FaceTable(
        name=name,
        columns=file.aus,
        scales=tuple(scales[au] for au in file.aus),
        scores=file.scores[rows],
        files=image_paths(key, file, rows, images_folder(config, file)),
        filenames=np.asarray(frame["filename"], np.str_),
        subjects=np.asarray(subjects, np.str_),
        identities=np.asarray([*map(identity_of, subjects)] if named else subjects, np.str_),
        pictures=np.zeros(len(rows), np.int64),
        has_subjects=named,
        domains=np.asarray(frame["domain"], np.str_) if "domain" in frame.columns else None,
        videos=np.asarray(frame["video"], np.str_) if "video" in frame.columns else None,
        coders=np.asarray(frame["coder"], np.str_) if "coder" in frame.columns else None,
        split=split,
        duplicates=duplicates,
        skipped=0,
        notes=(*file.notes, *(f"labels by a model: {name}" for name in labellers)),
        labelled_by=labellers,
        attributes={name: texts[rows] for name, texts in file.attributes.items()},
        further=file.further,
    ), rows


def _label_paths(key: str, config: SourceConfig) -> dict[str | None, str]:
    parts: dict[str | None, str] = {split: path for split in SPLITS if (path := getattr(config, split))}
    if config.labels and parts:
        raise ConfigError(f"{key}: expected either labels or train/val/test, got both; leave one out")
    if not config.labels and not parts:
        raise ConfigError(f"{key}.labels: expected the path of a CSV, got none; set it")
    return {None: config.labels} if config.labels else parts


def _name_of(paths: Sequence[Path]) -> str:
    """Name a data set by its CSV, or by the folder if there are several or the file name is generic."""
    first = source_of(paths[0])
    plain = len(paths) > 1 or first.stem.lower() in ("labels", "label", "data", *SPLITS)
    return first.parent.name if plain and first.parent.name else first.stem


def _with_images(key: str, config: SourceConfig, file: LabelFile, table: FaceTable, rows: Rows) -> FaceTable:
    """Rows of a table whose images exist and are intact."""
    faults = find_faults(table.files.tolist())
    if faults and config.bad_images == "error":
        position, fault = min(faults.items())
        others = f" (and {len(faults) - 1} more broken files)" if len(faults) > 1 else ""
        raise DataError(
            f"{file.where(int(rows[position]))}: expected an image, got {fault}: '{table.files[position]}'{others}"
            f"{like_it(Path(str(table.files[position])))}; fix it, or leave such rows out with {key}.bad_images=skip"
        )
    if len(faults) == len(table):
        images = images_folder(config, file)
        raise DataError(f"{file.path}: expected images in '{images}', got none readable; check both paths")
    good = np.ones(len(table), np.bool_)
    good[list(faults)] = False
    whole = with_pictures(table.select(good, table.split))
    places = rows[good]
    shared = shared_rows(whole)
    if shared and config.bad_images == "error":
        row, first = next((row, first) for row, first in shared if whole.identities[row] != whole.identities[first])
        raise DataError(
            f"{file.where(int(places[row]))}: expected one subject per image, got '{whole.filenames[row]}' of "
            f"{whole.subjects[row]} with the same content as '{whole.filenames[first]}' of {whole.subjects[first]} "
            f"(line {file.lines[places[first]]}); correct the subject, or leave all {len(shared)} such rows out with "
            f"{key}.bad_images=skip"
        )
    return without_shared(whole, shared, skipped=len(faults))


def with_pictures(table: FaceTable) -> FaceTable:
    """Hash the images of a table, which must exist."""
    return dataclasses.replace(table, pictures=hash_contents(table.files.tolist()))


def shared_rows(table: FaceTable) -> list[tuple[int, int]]:
    """Rows whose image several subjects share, each with the first row of that image."""
    return shared_pictures(table.pictures, table.identities) if table.has_subjects else []


def without_shared(table: FaceTable, shared: Sequence[tuple[int, int]], *, skipped: int) -> FaceTable:
    """Leave out images that belong to several subjects: blank frames, or contradictory labels.

    Raises:
        DataError: no row is left.
    """
    kept = np.ones(len(table), np.bool_)
    kept[[row for row, _ in shared]] = False
    if not kept.any():
        raise DataError(
            f"{table.name}: expected images of one subject each, got none: '{table.filenames[0]}' and all others "
            "belong to several subjects; check the 'subject' column"
        )
    if shared:
        log.warning(
            "%s: left out %d images that belong to several subjects, such as '%s'",
            *(table.name, len(shared), table.filenames[shared[0][0]]),
        )
    return dataclasses.replace(table.select(kept, table.split), skipped=skipped + len(shared))
