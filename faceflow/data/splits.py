"""Splits that never share a person: made from one table, or checked where the user made them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.data.sources import SPLITS, FaceTable, Texts
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Tables = Mapping[str, list[FaceTable]]  # split -> one table per data set


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the persons that go to validation and test, and the seed of the draw."""

    val: float
    test: float
    seed: int

    def __post_init__(self) -> None:
        """Check that something is left to train on."""
        for key, share, lowest in (("val", self.val, "more than 0"), ("test", self.test, "0")):
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
                raise ConfigError(f"split.{key}: expected a share from {lowest} to below 1, got {share!r}")
        if self.val == 0 or self.val + self.test >= 1:
            raise ConfigError(
                f"split: expected val > 0 and val + test < 1, got {self.val:g} and {self.test:g}; "
                "validation chooses the checkpoint and the thresholds"
            )

    def __str__(self) -> str:
        """Say it the way a result table does."""
        return f"val {self.val:.0%} and test {self.test:.0%} of the persons, seed {self.seed}"


def make_splits(tables: Sequence[FaceTable], config: SplitConfig) -> dict[str, list[FaceTable]]:
    """Bring every table into its split.

    A table without a split is divided by person into train, val and test. Where a data set states a training
    file but no validation file, validation persons are taken from the training file; a missing test file
    means that the data set is not tested.

    Raises:
        DataError: too few persons, or a person in more than one split.
    """
    splits: dict[str, list[FaceTable]] = {split: [] for split in SPLITS}
    stated = {(table.name, table.split) for table in tables}
    for table in tables:
        if table.split is None:
            parts = _divide(table, {"val": config.val, "test": config.test}, config.seed)
        elif table.split == "train" and (table.name, "val") not in stated:
            parts = _divide(table, {"val": config.val}, config.seed)
        else:
            parts = {table.split: table}
        for split, part in parts.items():
            splits[split].append(part)
    check_leaks(splits)
    return splits


def check_leaks(splits: Tables) -> None:
    """Refuse splits that share a person or an image file.

    Raises:
        DataError: names one shared person or file, and how many there are.
    """
    for kind in ("persons", "files"):
        seen = {
            split: {str(item) for table in tables for item in getattr(table, kind)} for split, tables in splits.items()
        }
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            if shared := sorted(seen[first] & seen[second]):
                raise DataError(
                    f"splits: expected no {kind[:-1]} in two splits, got '{shared[0]}' in {first} and {second} "
                    f"({len(shared)} shared); move all rows of a {kind[:-1]} to one label file"
                )


def without_persons(table: FaceTable, persons: set[str]) -> FaceTable:
    """Leave out the rows of some persons."""
    return table.select(~np.isin(table.persons, sorted(persons)), table.split)


def _divide(table: FaceTable, shares: Mapping[str, float], seed: int) -> dict[str, FaceTable]:
    if not table.has_subjects:
        log.warning(
            "%s: no 'subject' column, so images are split at random: one person may be in training and test, and "
            "the numbers may be too good; add a 'subject' column",
            table.name,
        )
    persons = np.unique(table.persons)
    asked = [split for split, share in shares.items() if share > 0]
    if len(persons) <= len(asked):
        raise DataError(
            f"{table.name}: expected at least {len(asked) + 1} persons to split into train, {', '.join(asked)}, got "
            f"{len(persons)}; add subjects, or give each split its own label file"
        )
    order = np.random.default_rng(seed).permutation(persons)
    taken: dict[str, Texts] = {}
    start = 0
    for split in asked:
        count = min(max(1, round(shares[split] * len(persons))), len(persons) - start - (len(asked) - len(taken)))
        taken[split] = order[start : start + count]
        start += count
    taken = {"train": order[start:], **taken}
    return {split: table.select(np.isin(table.persons, members), split) for split, members in taken.items()}
