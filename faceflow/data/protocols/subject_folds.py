"""Folds by subject: every subject is tested once, by a network trained on the subjects of the other folds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from faceflow.checks import check_choice, check_whole
from faceflow.data.protocols.protocol import EvaluationProtocol, Fold, check_known, check_names, ignore_given
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig
from faceflow.data.subject_ids import normal_id
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

_MOST_NAMES = 40  # in a text beside numbers
_MOST_EXAMPLES = 5  # in a message


@dataclass(frozen=True, kw_only=True)
class _FoldsOfSubjects(EvaluationProtocol):
    unit: ClassVar[str] = "fold"

    only: list[str] | None

    def __post_init__(self) -> None:
        check_names(self.only, "protocol.only", self.unit)

    def make(self, fold_of: Mapping[str, str], tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make the requested folds.

        Args:
            fold_of: subject -> the fold that tests this subject, in the order of the folds.
            tables: all data sets, whole.
            split: share of the other subjects for validation.
        """
        names = list(dict.fromkeys(fold_of.values()))
        check_known(self.only, names, "protocol.only", "folds of the protocol")
        return [self._fold(name, fold_of, tables, split) for name in self.only or names]

    def _fold(self, name: str, fold_of: Mapping[str, str], tables: Sequence[FaceTable], split: SplitConfig) -> Fold:
        tested = sorted(subject for subject, fold in fold_of.items() if fold == name)
        inside = [np.isin(table.subjects, tested) for table in tables]
        test = [table.select(rows, "test") for table, rows in zip(tables, inside, strict=True) if rows.any()]
        rest = [table.select(~rows, None) for table, rows in zip(tables, inside, strict=True) if not rows.all()]
        return Fold(
            name=name,
            splits=self.divide(rest, test, split),
            rule=f"{self.describe(split)}; {name} tests {list_subjects(tested)}",
            alone={"only": [name]},
            legacy=self.legacy,
        )


@dataclass(frozen=True, kw_only=True)
class KFold(_FoldsOfSubjects):
    """`k` folds with equally many subjects of every data set, drawn with `seed`; `only` restricts which are run."""

    k: int
    seed: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        check_whole(self.k, key="protocol.k", lowest=2)
        check_whole(self.seed, key="protocol.seed", lowest=0)

    def describe(self, split: SplitConfig) -> str:
        """Describe the number of folds, and how subjects that are not tested are used."""
        return f"{self.k} folds by subject, drawn with seed {self.seed}; {self.describe_rest('the others', split)}"

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make the folds; each tests a share of every data set.

        Raises:
            DataError: a data set with fewer subjects than folds.
        """
        whole = ignore_given(tables)
        numbers = self._deal(tables)
        fold_of = {
            subject: f"fold{number + 1}" for subject, number in sorted(numbers.items(), key=lambda item: item[1])
        }
        return self.make(fold_of, whole, split)

    def _deal(self, tables: Sequence[FaceTable]) -> dict[str, int]:
        """Number of the fold of every subject; a subject of several data sets has one fold."""
        by_name: dict[str, set[str]] = {}
        for table in tables:
            by_name.setdefault(table.name, set()).update(table.subjects.tolist())
        fold_of: dict[str, int] = {}
        for name, subjects in sorted(by_name.items(), key=lambda item: (len(item[1]), item[0])):
            if len(subjects) < self.k:
                raise DataError(
                    f"{name}: expected at least as many subjects as folds ({self.k}), got {len(subjects)}; "
                    "lower protocol.k"
                )
            here = Counter(fold_of[subject] for subject in subjects if subject in fold_of)
            total = Counter(fold_of.values())
            for subject in np.random.default_rng(self.seed).permutation(sorted(subjects)).tolist():
                if subject not in fold_of:
                    smallest = min(range(self.k), key=lambda fold: (here[fold], total[fold], fold))
                    fold_of[subject] = smallest
                    here[smallest] += 1
                    total[smallest] += 1
        return fold_of


@dataclass(frozen=True, kw_only=True)
class SubjectFolds(_FoldsOfSubjects):
    """Folds given as lists of test subjects, such as those that papers report on.

    Args:
        title: what these folds are, for results.
        subjects: name of a fold -> subjects that it tests, in any spelling of `normal_id`.
        identities: namespace of the subjects, needed if several data sets have subjects with these names; else None.
        others: how to treat subjects in no fold: "error", or "train" in every fold.
    """

    title: str
    subjects: dict[str, list[str]]
    identities: str | None
    others: str

    def __post_init__(self) -> None:
        """Check that the folds are lists of names, none in two."""
        super().__post_init__()
        check_choice(self.others, key="protocol.others", options=("error", "train"))
        if not isinstance(self.subjects, dict) or len(self.subjects) < 1:
            raise ConfigError(f"protocol.subjects: expected a list of subjects per fold, got {self.subjects!r}")
        for name, subjects in self.subjects.items():
            if not (isinstance(subjects, list) and subjects and all(isinstance(each, str) for each in subjects)):
                raise ConfigError(
                    f"protocol.subjects.{name}: expected a list of names (numbers in quotes), got {subjects!r}"
                )
        everybody = Counter(normal_id(subject) for subjects in self.subjects.values() for subject in subjects)
        if repeated := [subject for subject, count in everybody.items() if count > 1]:
            raise ConfigError(f"protocol.subjects: expected every subject once, got '{repeated[0]}' twice; remove one")

    def describe(self, split: SplitConfig) -> str:
        """Describe the folds, and how subjects that are not tested are used."""
        return f"{self.title}; {self.describe_rest('the other subjects', split)}"

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make the folds.

        Raises:
            ConfigError: a subject of the same name in data sets with different subjects.
            DataError: a fold without subjects in the data, or subjects in no fold, unless `others` is "train".
        """
        check_known(self.only, list(self.subjects), "protocol.only", "folds of the protocol")
        whole = ignore_given(tables)
        there = sorted({str(subject) for table in tables for subject in table.subjects})
        known = self._find(there)
        self._check_absent(known, there)
        self._check_others(sorted(set(there) - set(known.values())))
        pairs = ((subject, fold) for fold, tested in self.subjects.items() for subject in tested)
        return self.make({known[subject]: fold for subject, fold in pairs if subject in known}, whole, split)

    def _find(self, subjects: Sequence[str]) -> dict[str, str]:
        """Id in the data of every listed subject that is present."""
        listed = {normal_id(subject): subject for tested in self.subjects.values() for subject in tested}
        found: dict[str, str] = {}
        for whole in subjects:
            parts = whole.split("/")
            for cut in range(1, len(parts)):  # all ways to read "people/subject", for both may hold slashes
                people, spelled = "/".join(parts[:cut]), "/".join(parts[cut:])
                subject = listed.get(normal_id(spelled))
                if subject is None or self.identities not in (None, people):
                    continue
                if subject in found:
                    raise ConfigError(
                        f"protocol.identities: expected a name, since {found[subject]} and {whole} may be different "
                        f"subjects, got null; say which ones the folds mean, such as protocol.identities={people}"
                    )
                found[subject] = whole
        return found

    def _check_absent(self, known: Mapping[str, str], there: Sequence[str]) -> None:
        listed = [subject for tested in self.subjects.values() for subject in tested]
        if not known:
            raise DataError(
                f"protocol.subjects: expected subjects such as {_examples(listed)}, got {_examples(there)}; spell "
                "them in the 'subject' column as in the protocol"
            )
        for fold in self.only or self.subjects:
            if not known.keys() & set(self.subjects[fold]):
                raise DataError(
                    f"protocol.subjects.{fold}: expected some of its {len(self.subjects[fold])} subjects in the data, "
                    "got none; choose the other folds with protocol.only=[...], or protocol=kfold"
                )
        if absent := [subject for subject in listed if subject not in known]:
            log.warning(
                "protocol: %d of its %d subjects are not in the data (%s), so results do not cover the whole data set",
                *(len(absent), len(listed), _examples(absent)),
            )

    def _check_others(self, others: Sequence[str]) -> None:
        if others and self.others == "error":
            raise DataError(
                f"protocol: expected every subject in one of its folds, got {len(others)} in none "
                f"({_examples(others)}); remove them from the labels, or train on them in every fold with "
                "protocol.others=train"
            )
        if others:
            log.warning(
                "protocol: %d subjects that are in no fold are trained on in every fold (%s)",
                len(others),
                _examples(others),
            )


def list_subjects(subjects: Iterable[str]) -> str:
    """List subjects beside numbers, without their data set's name if they share it; give only a count if many."""
    names = list(subjects)
    if len(names) > _MOST_NAMES:
        return f"{len(names)} subjects"
    sets = {name.partition("/")[0] for name in names}
    return " ".join(name.partition("/")[2] if len(sets) == 1 else name for name in names)


def _examples(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_EXAMPLES])
    return f"{shown}, ..." if len(names) > _MOST_EXAMPLES else shown
