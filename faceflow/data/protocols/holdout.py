"""One split of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from faceflow.data.protocols.protocol import EvaluationProtocol, Fold, apart_by_split
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, Tables, make_splits, without_subjects
from faceflow.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Holdout(EvaluationProtocol):
    """One split: drawn by subject, or given as one label file per split."""

    unit: ClassVar[str] = "split"

    def describe(self, split: SplitConfig) -> str:
        """Describe it as the split does."""
        return f"test {split.test:.0%} of the subjects, all others train, {split.draw}" if self.legacy else str(split)

    def folds(self, tables: Sequence[FaceTable], split: SplitConfig) -> list[Fold]:
        """Make the one fold, see `make_splits`."""
        splits: Tables = make_splits(tables, split)
        if self.legacy:
            if not splits["test"]:
                raise DataError("protocol.legacy: expected test faces to choose the epoch on, got none; set split.test")
            tested = {str(subject) for table in splits["test"] for subject in table.subjects}
            apart = zip(tables, apart_by_split(tables), strict=True)
            rest = [without_subjects(named, tested) for table, named in apart if table.split != "test"]
            splits = self.divide([table for table in rest if len(table)], splits["test"], split)
        return [Fold(name=None, splits=splits, rule=self.describe(split), alone={}, legacy=self.legacy)]
