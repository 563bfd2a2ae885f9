"""Splits that never share a subject: drawn from one table, or given by the user and checked."""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.checks import check_number, check_whole
from faceflow.data.sources import SPLITS, UNLABELED, FaceTable
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Tables = Mapping[str, list[FaceTable]]  # split -> one table per data set


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of subjects for validation and test, and the seed of the draw.

    `labeled` is the share of each data set's training subjects that keep their labels.
    """

    val: float
    test: float
    seed: int
    labeled: float

    def __post_init__(self) -> None:
        """Check the values and that subjects remain for training."""
        for key, share, lowest in (("val", self.val, "more than 0"), ("test", self.test, "0")):
            expected = f"a share from {lowest} to below 1"
            check_number(share, key=f"split.{key}", expected=expected, valid=lambda x: 0 <= x < 1)
        check_number(self.labeled, key="split.labeled", expected="a share in (0, 1]", valid=lambda x: 0 < x <= 1)
        check_whole(self.seed, key="split.seed", lowest=0)
        if self.val == 0 or self.val + self.test >= 1:
            raise ConfigError(
                f"split: expected val > 0 and val + test < 1, got {self.val:g} and {self.test:g}; "
                "validation chooses the checkpoint and the thresholds"
            )

    def __str__(self) -> str:
        """Describe it as result tables do."""
        return f"val {self.val:.0%} and test {self.test:.0%} of the subjects, {self.draw}"

    @property
    def draw(self) -> str:
        """Describe the seed of the draw and, if not all, the share of subjects that keep their labels."""
        labels = "" if self.labeled == 1 else f", labels of {100 * self.labeled:g}% of the training subjects"
        return f"seed {self.seed}{labels}"


def make_splits(tables: Sequence[FaceTable], config: SplitConfig) -> dict[str, list[FaceTable]]:
    """Put every table into its split.

    A table without a split is divided by subject into train, val and test. If a data set has a training file but no
    validation file, validation subjects are taken from the training file; without a test file, the data set is not
    tested. A subject in several tables is in the same split for all of them.

    Raises:
        DataError: too few subjects, a subject in more than one split, or nothing to train on or to validate with.
    """
    divided = {number: shares for number, table in enumerate(tables) if (shares := _shares(table, tables, config))}
    placed = {
        str(subject): str(table.split)
        for number, table in enumerate(tables)
        if number not in divided
        for subject in table.subjects
    }
    parts = {number: {str(table.split): table} for number, table in enumerate(tables)}
    for number in sorted(divided, key=lambda number: _turn(tables[number])):
        parts[number] = _divide(tables[number], divided[number], config.seed, placed)
    splits = {
        split: [parts[number][split] for number in range(len(tables)) if split in parts[number]] for split in SPLITS
    }
    check_leaks(splits)
    for split in ("train", "val"):
        if not splits[split]:
            raise DataError(f"splits: expected rows in {split}, got none; set data.sources.*.{split} or .labels")
    return splits


def check_leaks(splits: Tables) -> None:
    """Raise if two splits share an image or a subject.

    Links to an image and copies of it are the same image.

    Raises:
        DataError: names one shared image or subject, and how many there are.
    """
    named = {
        split: {
            picture: f"{table.name}/{filename}"
            for table in tables
            for picture, filename in zip(table.pictures.tolist(), table.filenames.tolist(), strict=True)
        }
        for split, tables in splits.items()
    }
    subjects = {
        split: {str(subject) for table in tables for subject in table.subjects} for split, tables in splits.items()
    }
    for first, second in itertools.combinations(SPLITS, 2):
        if shared := sorted(named[first].keys() & named[second].keys(), key=named[first].__getitem__):
            one, other = named[first][shared[0]], named[second][shared[0]]
            found = f"{first} and {second}" if one == other else f"{first}, the same as '{other}' in {second}"
            raise DataError(
                f"splits: expected no image in two splits, got '{one}' in {found} ({len(shared)} shared); remove the "
                "rows from one of the label files"
            )
        if common := sorted(subjects[first] & subjects[second]):
            raise DataError(
                f"splits: expected no subject in two splits, got '{common[0]}' in {first} and {second} ({len(common)} "
                "shared); move all rows of a subject to one label file, or, if these are different "
                "subjects, give each data set its own data.sources.*.identities"
            )


def without_subjects(table: FaceTable, subjects: set[str]) -> FaceTable:
    """Leave out the rows of some subjects."""
    return table.select(~np.isin(table.subjects, sorted(subjects)), table.split)


def hide_labels(train: Sequence[FaceTable], config: SplitConfig) -> tuple[list[FaceTable], list[FaceTable]]:
    """Draw the training subjects that keep their labels, for methods that learn from faces without labels.

    Every data set draws its share of subjects, at least one. The draw of a larger share contains that of a smaller one
    and does not depend on other data sets; a subject in several data sets keeps the labels in all if one draws it.

    Returns:
        Tables with labels, and the other rows of the same tables in the split `UNLABELED`.
    """
    if config.labeled == 1:
        return list(train), []
    chosen: set[str] = set()
    for name in {table.name for table in train}:
        subjects = {subject for table in train if table.name == name for subject in table.subjects.tolist()}
        order = sorted(subjects, key=lambda subject: hashlib.sha256(f"{config.seed} {subject}".encode()).digest())
        chosen.update(order[: max(1, round(config.labeled * len(order)))])
    kept = [np.isin(table.subjects, sorted(chosen)) for table in train]
    labelled = [table.select(rows, table.split) for table, rows in zip(train, kept, strict=True) if rows.any()]
    hidden = [table.select(~rows, UNLABELED) for table, rows in zip(train, kept, strict=True) if not rows.all()]
    return labelled, hidden


def real_paths(files: Iterable[str]) -> list[str]:
    """Paths with links resolved; each folder only once, because a path costs a system call per part."""
    folder_of = functools.cache(os.path.realpath)
    paths = []
    for file in files:
        folder, name = os.path.split(file)
        path = os.path.join(folder_of(folder), name)  # noqa: PTH118  (Path objects would cost more than the call)
        paths.append(os.path.realpath(path) if os.path.islink(path) else path)  # noqa: PTH114
    return paths


def _shares(table: FaceTable, tables: Sequence[FaceTable], config: SplitConfig) -> dict[str, float]:
    """Shares of the subjects to draw from a table; none if the user gave the split."""
    if table.split is None:
        return {"val": config.val, "test": config.test} if config.test else {"val": config.val}
    has_val = any(other.name == table.name and other.split == "val" for other in tables)
    return {"val": config.val} if table.split == "train" and not has_val else {}


def _turn(table: FaceTable) -> tuple[bool, int, str]:
    """Order of the draws: given training files first, because their subjects must not become test subjects.

    Then tables with fewer subjects first, so that each still finds free ones for its shares.
    """
    return table.split is None, len(np.unique(table.subjects)), table.name


def _divide(table: FaceTable, shares: Mapping[str, float], seed: int, placed: dict[str, str]) -> dict[str, FaceTable]:
    """Parts of a table by split; subjects in `placed` keep their split, the others are added to it."""
    if not table.has_subjects:
        log.warning(
            "%s: no 'subject' column, so images are split at random: a subject may be in both training and test, and "
            "scores may be too high; add a 'subject' column",
            table.name,
        )
    subjects = np.unique(table.subjects)
    order = np.random.default_rng(seed).permutation(subjects).tolist()
    free = [subject for subject in order if subject not in placed]
    if len(free) == len(subjects) <= len(shares):
        raise DataError(
            f"{table.name}: expected at least {len(shares) + 1} subjects to split into train, {', '.join(shares)}, got "
            f"{len(subjects)}; add subjects, or give each split its own label file"
        )
    there = Counter(placed[subject] for subject in order if subject in placed)
    waiting = {*shares, "train"}
    for split, share in shares.items():
        waiting.remove(split)
        wanted = max(1, round(share * len(subjects))) - there[split]
        count = max(0, min(wanted, len(free) - sum(not there[other] for other in waiting)))
        placed |= dict.fromkeys(free[:count], split)
        free = free[count:]
    placed |= dict.fromkeys(free, "train")
    # A given training row never becomes a test row: if its subject is in a test file, that is reported as a leak.
    allowed = SPLITS if table.split is None else ("train", *shares)
    split_of = np.array(
        [part if (part := placed[subject]) in allowed else "train" for subject in table.subjects.tolist()]
    )
    return {split: table.select(split_of == split, split) for split in SPLITS if (split_of == split).any()}
