"""Evaluation protocols: ways to divide the data into folds, each with one training run and its test."""

from __future__ import annotations

import abc
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, Tables, check_leaks, make_splits
from faceflow.errors import ConfigError, suggest

log = logging.getLogger(__name__)

LEGACY = (
    "best epoch chosen on the test faces, threshold 0.5, as in many papers: optimistic, not comparable with numbers "
    "without this mark"
)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One training run and its test.

    `name` is None if a protocol has only one fold. `rule` describes how the rows were split, and `alone` holds the
    protocol's settings that select only this fold. In a `legacy` fold the test faces are also used for validation.
    """

    name: str | None
    splits: Tables
    rule: str
    alone: Mapping[str, Any]
    legacy: bool

    @property
    def subjects(self) -> list[str]:
        """Tested subjects, each once, sorted."""
        return sorted({str(subject) for table in self.splits["test"] for subject in table.subjects})


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol(abc.ABC):
    """A way to divide the data into folds. No subject is in both training and test.

    Validation, which chooses the epoch and the thresholds, has its own subjects, taken from those that are not tested.
    With `legacy`, all subjects that are not tested are trained on, and the test faces are used for validation.
    """

    unit: ClassVar[str]  # what the name of a fold names

    legacy: bool

    @abc.abstractmethod
    def describe(self, split: SplitConfig) -> str:
        """Describe how rows are split; printed beside every number."""

    @abc.abstractmethod
    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Divide the data.

        Args:
            tables: all data sets.
            split: shares of the subjects for validation and, if the protocol does not fix it, test.

        Raises:
            ConfigError, DataError: the data or the settings do not allow this protocol.
        """

    def describe_rest(self, others: str, split: SplitConfig) -> str:
        """Describe how subjects that are not tested are used."""
        if self.legacy:
            return f"all {others} train, {split.draw}; split.val and split.test are not used"
        return f"val {split.val:.0%} of {others}, {split.draw}; split.test is not used"

    def divide(self, rest: Sequence[FaceTable], test: Sequence[FaceTable], split: SplitConfig) -> Tables:
        """Make the splits of a fold from the faces that are tested and the rest.

        Raises:
            DataError: see `make_splits` and `check_leaks`.
        """
        tested = [dataclasses.replace(table, split="test") for table in test]
        if self.legacy:
            splits = {"train": [dataclasses.replace(table, split="train") for table in rest], "val": [], "test": tested}
            check_leaks(splits)
            return {**splits, "val": [dataclasses.replace(table, split="val") for table in test]}
        splits = {**make_splits(rest, dataclasses.replace(split, test=0.0)), "test": tested}
        check_leaks(splits)
        return splits


def apart_by_split(tables: Sequence[FaceTable]) -> list[FaceTable]:
    """Give the label files of one data set different names if it has one per split."""
    names = [table.name for table in tables]
    return [
        dataclasses.replace(table, name=f"{table.name}:{table.split}") if names.count(table.name) > 1 else table
        for table in tables
    ]


def ignore_given(tables: Sequence[FaceTable]) -> list[FaceTable]:
    """Drop the splits of label files, and warn about it."""
    if given := sorted({table.name for table in tables if table.split}):
        log.warning("%s: this protocol ignores the split into train, val and test files", ", ".join(given))
    return [dataclasses.replace(table, split=None) for table in apart_by_split(tables)]


def check_names(names: object, key: str, what: str) -> None:
    """Check a list of names that a user sets, none twice.

    Args:
        names: the list, or None for all.
        key: its config key, for messages.
        what: what a name stands for.

    Raises:
        ConfigError: not a list of names, or a repeated name.
    """
    if names is None:
        return
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ConfigError(f"{key}: expected a list of names, or null for all, got {names!r}")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{key}: expected every {what} once, got '{repeated[0]}' twice; remove one")


def check_known(names: Sequence[str] | None, known: Sequence[str], key: str, what: str) -> None:
    """Check that names are among the known ones.

    Raises:
        ConfigError: one is unknown; arguments as for `check_names`.
    """
    if absent := [name for name in names or () if name not in known]:
        raise ConfigError(f"{key}: expected {what}, got '{absent[0]}'; {suggest(absent[0], known)}")
