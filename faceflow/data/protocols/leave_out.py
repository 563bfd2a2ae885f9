"""Leave one out: every domain, or every data set, is tested by a network trained on the others."""

from __future__ import annotations

import abc
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from faceflow.data.groups import domains_of
from faceflow.data.protocols.protocol import EvaluationProtocol, Fold, check_known, check_names, ignore_given
from faceflow.data.rows import Texts
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, without_subjects
from faceflow.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _LeaveOneOut(EvaluationProtocol):
    """If a data set has one file per split, the files' splits are ignored."""

    chosen_by: ClassVar[str]  # name of the setting that restricts what is left out
    advice: ClassVar[str]  # for data with only one group

    @property
    @abc.abstractmethod
    def chosen(self) -> list[str] | None:
        """Groups to leave out; None for each in turn."""

    @abc.abstractmethod
    def groups(self, table: FaceTable) -> Texts:
        """Group of every row."""

    def __post_init__(self) -> None:
        check_names(self.chosen, f"protocol.{self.chosen_by}", self.unit)

    def describe(self, split: SplitConfig) -> str:
        """Describe what is tested, and that `split.test` is not used."""
        rest = self.describe_rest(f"the subjects of the other {self.unit}s", split)
        return f"leave one {self.unit} out: test on all faces of it, {rest}"

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make one fold per group, in the order of the data sets and their rows."""
        groups = [self.groups(table) for table in tables]
        known = list(dict.fromkeys(group for column in groups for group in column.tolist()))
        check_known(self.chosen, known, f"protocol.{self.chosen_by}", f"{self.unit}s of the data")
        if len(known) < 2:
            raise DataError(
                f"protocol: expected at least two {self.unit}s to leave one out, got only '{known[0]}'; {self.advice}"
            )
        whole = ignore_given(tables)
        return [self._without(group, whole, groups, split) for group in self.chosen or known]

    def _without(self, group: str, tables: Sequence[FaceTable], groups: Sequence[Texts], split: SplitConfig) -> Fold:
        inside = [column == group for column in groups]
        test = [table.select(rows, "test") for table, rows in zip(tables, inside, strict=True) if rows.any()]
        others = [table.select(~rows, None) for table, rows in zip(tables, inside, strict=True) if not rows.all()]
        rest = self._without_tested(group, others, test)
        return Fold(
            name=group,
            splits=self.divide(rest, test, split),
            rule=f"{self.describe(split)}; left out: {group}",
            alone={self.chosen_by: [group]},
            legacy=self.legacy,
        )

    def _without_tested(self, group: str, others: Sequence[FaceTable], test: Sequence[FaceTable]) -> list[FaceTable]:
        """Leave out subjects that are also tested: known subjects would make the test too easy."""
        tested = {str(subject) for table in test for subject in table.subjects}
        free = [without_subjects(table, tested) for table in others]
        both = tested & {str(subject) for table in others for subject in table.subjects}
        if both:
            log.warning(
                f"%s left out: %d of its subjects are also in other {self.unit}s; their %d images there are not used",
                *(group, len(both), sum(map(len, others)) - sum(map(len, free))),
            )
        if not any(map(len, free)):
            raise DataError(
                f"protocol: expected subjects outside the {self.unit} '{group}' to train on, got none (all {len(both)} "
                f"are also in that {self.unit}); leave out others with "
                f"protocol.{self.chosen_by}=[...], or use protocol=holdout"
            )
        return [table for table in free if len(table)]


@dataclass(frozen=True, kw_only=True)
class LeaveOneDomainOut(_LeaveOneOut):
    """Every domain in turn is tested by a network trained on the others.

    A domain is a value of the `domain` column, or a data set without that column; the same value in two data sets is
    the same domain. `domains` restricts which domains are left out.
    """

    unit: ClassVar[str] = "domain"
    chosen_by: ClassVar[str] = "domains"
    advice: ClassVar[str] = (
        "give the labels a 'domain' column with several values (see data.domains), or train on several data sets: "
        "data=[a,b]"
    )

    domains: list[str] | None

    @property
    def chosen(self) -> list[str] | None:
        """Domains to leave out."""
        return self.domains

    def groups(self, table: FaceTable) -> Texts:
        """Domain of every row; a table without domains is a domain of its own."""
        domains = domains_of(table)
        if (domains == "").any():
            raise DataError(
                f"{table.name}: expected a domain in every row, or in none, got an empty cell for "
                f"'{table.filenames[np.argmax(domains == '')]}'; fill in the 'domain' column"
            )
        return domains


@dataclass(frozen=True, kw_only=True)
class LeaveOneDatasetOut(_LeaveOneOut):
    """Every data set in turn is tested by a network trained on the others, whatever their domains.

    `datasets` restricts which data sets are left out.
    """

    unit: ClassVar[str] = "data set"
    chosen_by: ClassVar[str] = "datasets"
    advice: ClassVar[str] = "train on several: data=[a,b]"

    datasets: list[str] | None

    @property
    def chosen(self) -> list[str] | None:
        """Data sets to leave out."""
        return self.datasets

    def groups(self, table: FaceTable) -> Texts:
        """Data set of every row."""
        return np.full(len(table), table.name)
