"""Counts of every split for the data report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceflow.data.label_scales import describe_scales
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import Tables
from faceflow.report.tables import SplitSummary

DATA = "data.txt"


def summarize(splits: Tables, aus: Sequence[str]) -> list[SplitSummary]:
    """One summary per split and data set."""
    return [_summary(split, table, aus) for split, tables in splits.items() for table in tables]


def _summary(split: str, table: FaceTable, aus: Sequence[str]) -> SplitSummary:
    truth = table.truth(aus)
    valid, positives = truth.observed.sum(axis=0), truth.occurrence.sum(axis=0)
    labels = describe_scales(table.columns, table.scales)
    if table.split == UNLABELED and table.columns:  # labelled faces in the unlabelled pool have another split
        labels = f"hidden: {labels}"
    return SplitSummary(
        split=split,
        dataset=table.name,
        images=len(table),
        subjects=len(np.unique(table.subjects)),
        subjects_known=table.has_subjects,
        labels=labels,
        duplicates=table.duplicates,
        skipped=table.skipped,
        notes=table.notes,
        valid={au: int(count) for au, count in zip(aus, valid, strict=True)},
        positives={au: int(count) for au, count in zip(aus, positives, strict=True)},
    )
