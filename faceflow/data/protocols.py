"""Evaluation protocols: which faces train and which test, once or in several folds."""

from __future__ import annotations

import abc
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from faceflow.data.sources import FaceTable, Texts
from faceflow.data.splits import SplitConfig, Tables, check_leaks, make_splits, without_persons
from faceflow.errors import ConfigError, DataError, suggest

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One training and its test.

    `name` is None where a protocol has one fold only. `rule` says in words how the rows were split, and `alone`
    holds the protocol's settings that yield this fold and no other.
    """

    name: str | None
    splits: Tables
    rule: str
    alone: Mapping[str, Any]


class EvaluationProtocol(abc.ABC):
    """A way to divide the data into folds. No person is in two splits of a fold."""

    unit: ClassVar[str]  # what the name of a fold names

    @abc.abstractmethod
    def describe(self, split: SplitConfig) -> str:
        """Say in words how rows are split; printed beside every number."""

    @abc.abstractmethod
    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Divide the data.

        Args:
            tables: all data sets.
            split: shares of the persons that go to validation and, where the protocol leaves it open, test.

        Raises:
            ConfigError, DataError: the data or the settings do not allow this protocol.
        """


@dataclass(frozen=True, kw_only=True)
class Holdout(EvaluationProtocol):
    """One split: drawn by person, or given as one label file per split."""

    unit: ClassVar[str] = "split"

    def describe(self, split: SplitConfig) -> str:
        """Say it as the split does."""
        return str(split)

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make the one fold, see `make_splits`."""
        return [Fold(name=None, splits=make_splits(tables, split), rule=self.describe(split), alone={})]


@dataclass(frozen=True, kw_only=True)
class LeaveOneDomainOut(EvaluationProtocol):
    """Every domain in turn is tested by a network that was trained on the others.

    A domain is a value of the `domain` column, or a data set that has none; the same value in two data sets is the
    same domain. Where a data set comes as one file per split, the files' splits are ignored. `domains` restricts
    which domains are left out.
    """

    unit: ClassVar[str] = "domain"

    domains: list[str] | None

    def __post_init__(self) -> None:
        """Check that the domains are names, none twice."""
        names = self.domains
        if names is not None and not (isinstance(names, list) and names and all(isinstance(d, str) for d in names)):
            raise ConfigError(f"protocol.domains: expected a list of names, or null for all, got {names!r}")
        if names is not None and (repeated := [name for name in names if names.count(name) > 1]):
            raise ConfigError(f"protocol.domains: expected every domain once, got '{repeated[0]}' twice; remove one")

    def describe(self, split: SplitConfig) -> str:
        """Say what is tested, and that `split.test` is not used."""
        return (
            f"leave one domain out: test on all faces of it, val {split.val:.0%} of the persons of the other domains, "
            f"{split.draw}; split.test is not used"
        )

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make one fold per domain, in the order of the data sets and their rows."""
        domains = [_domains(table) for table in tables]
        known = list(dict.fromkeys(domain for column in domains for domain in column.tolist()))
        if self.domains is not None and (absent := [name for name in self.domains if name not in known]):
            raise ConfigError(
                f"protocol.domains: expected domains of the data, got '{absent[0]}'; {suggest(absent[0], known)}"
            )
        if len(known) < 2:
            raise DataError(
                f"protocol: expected at least two domains to leave one out, got only '{known[0]}'; give the labels a "
                "'domain' column with several values (see data.domains), or train on several data sets: data=[a,b]"
            )
        if given := sorted({table.name for table in tables if table.split}):
            log.warning("%s: protocol=leave_one_domain_out ignores the given train, val and test", ", ".join(given))
        whole = [dataclasses.replace(table, split=None) for table in apart_by_split(tables)]
        return [self._without(domain, whole, domains, split) for domain in self.domains or known]

    def _without(self, domain: str, tables: Sequence[FaceTable], domains: Sequence[Texts], split: SplitConfig) -> Fold:
        inside = [column == domain for column in domains]
        test = [table.select(rows, "test") for table, rows in zip(tables, inside, strict=True) if rows.any()]
        others = [table.select(~rows, None) for table, rows in zip(tables, inside, strict=True) if not rows.all()]
        rest = _without_tested(domain, others, test)
        splits = {**make_splits(rest, dataclasses.replace(split, test=0.0)), "test": test}
        check_leaks(splits)
        rule = f"{self.describe(split)}; left out: {domain}"
        return Fold(name=domain, splits=splits, rule=rule, alone={"domains": [domain]})


def apart_by_split(tables: Sequence[FaceTable]) -> list[FaceTable]:
    """Name the label files of one data set differently, where it has one per split."""
    names = [table.name for table in tables]
    return [
        dataclasses.replace(table, name=f"{table.name}:{table.split}") if names.count(table.name) > 1 else table
        for table in tables
    ]


def _domains(table: FaceTable) -> Texts:
    """Domain of every row; a table that names none is a domain of its own."""
    named = table.domains is not None and table.domains != ""
    if table.domains is None or not np.any(named):
        return np.full(len(table), table.name)
    if not np.all(named):
        raise DataError(
            f"{table.name}: expected a domain in every row, or in none, got an empty cell for "
            f"'{table.filenames[np.argmin(named)]}'; fill in the 'domain' column"
        )
    return table.domains


def _without_tested(domain: str, others: Sequence[FaceTable], test: Sequence[FaceTable]) -> list[FaceTable]:
    """Leave out who is in the tested domain too: a known person would flatter the test."""
    tested = {str(person) for table in test for person in table.persons}
    free = [without_persons(table, tested) for table in others]
    both = tested & {str(person) for table in others for person in table.persons}
    if both:
        log.warning(
            "%s left out: %d of its persons are in other domains too; their %d images there are in no split",
            *(domain, len(both), sum(map(len, others)) - sum(map(len, free))),
        )
    if not any(map(len, free)):
        raise DataError(
            f"protocol: expected persons outside of the domain '{domain}' to train on, got none ({len(both)} persons, "
            "all of them in that domain too); leave out others with protocol.domains=[...], or take protocol=holdout"
        )
    return [table for table in free if len(table)]
