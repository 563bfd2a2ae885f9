"""Tables of subjects without images, and the split of each subject in a fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from faceflow.data.protocols.protocol import Fold
from faceflow.data.sources import FaceTable
from faceflow.data.subject_ids import identity_of
from faceflow.encoding import LabelScale
from tests.helpers.faces import made_up_hashes


def table(
    name: str,
    people: Mapping[str, Iterable[object]] | Iterable[object],
    *,
    identities: str | None = None,
    split: str | None = None,
    folder: str | None = None,
) -> FaceTable:
    """Two images of every subject; `people` has subjects by domain, or the subjects of a table without domains."""
    grouped = people if isinstance(people, Mapping) else {"": people}
    rows = [(domain, subject) for domain, subjects in grouped.items() for subject in subjects for _ in range(2)]
    files = np.array([f"/{folder or name}/{split}/{row}.jpg" for row in range(len(rows))])
    return FaceTable(
        name=name,
        columns=("AU12",),
        scales=(LabelScale(score_max=5, occurrence_min=2),),
        scores=np.arange(len(rows), dtype=np.float64)[:, None] % 6,
        files=files,
        filenames=files,
        subjects=np.array([f"{identities or name}/{subject}" for _, subject in rows]),
        identities=np.array([identity_of(f"{identities or name}/{subject}") for _, subject in rows]),
        pictures=made_up_hashes(files),
        has_subjects=True,
        domains=np.array([domain for domain, _ in rows]) if isinstance(people, Mapping) else None,
        split=split,
        duplicates=0,
        skipped=0,
    )


def subjects(fold: Fold, *splits: str) -> set[str]:
    return {str(subject) for split in splits for part in fold.splits[split] for subject in part.subjects}


def named(name: str, numbers: Iterable[int]) -> set[str]:
    return {f"{name}/{number}" for number in numbers}
