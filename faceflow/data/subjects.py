"""Subjects across tables: rows of one subject belong together, however they are named."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.data.sources import FaceTable

log = logging.getLogger(__name__)


def connected(tables: Sequence[FaceTable]) -> NDArray[np.intp]:
    """Number the subjects of all rows of some tables, one table after the other, (N,).

    Rows with the same subject, identity or image belong together, also across chains of such rows.
    """
    if not tables:
        return np.empty(0, np.intp)
    labels = []
    for field in ("subjects", "identities", "pictures"):
        values = np.concatenate([getattr(table, field) for table in tables])
        labels.append(pd.factorize(values)[0])
    group = np.arange(len(labels[0]))
    while True:
        before = group
        for label in labels:
            smallest = np.full(label.max(initial=-1) + 1, len(group))
            np.minimum.at(smallest, label, group)
            group = smallest[label]
        if np.array_equal(group, before):
            return group


def unify(tables: Sequence[FaceTable]) -> list[FaceTable]:
    """Give all rows of a subject the same subject id, and warn of what was merged."""
    if not tables:
        return []
    group = connected(tables)
    number, found = pd.factorize(np.concatenate([table.subjects for table in tables]))
    names, order = np.unique(np.asarray(found, np.str_), return_inverse=True)
    first = np.full(len(group), len(names))
    np.minimum.at(first, group, order[number])
    _tell_spellings(tables)
    _tell_copies(tables)
    subjects = np.split(names[first[group]], np.cumsum([len(table) for table in tables])[:-1])
    return [dataclasses.replace(table, subjects=part) for table, part in zip(tables, subjects, strict=True)]


def _tell_spellings(tables: Sequence[FaceTable]) -> None:
    spellings: dict[str, set[str]] = {}
    for table in tables:
        if table.has_subjects:
            for identity, subject in sorted(set(zip(table.identities.tolist(), table.subjects.tolist(), strict=True))):
                spellings.setdefault(identity, set()).add(subject.partition("/")[2])
    met = [sorted(spelled) for spelled in spellings.values() if len(spelled) > 1]
    if met:
        *others, last = (f"'{spelled}'" for spelled in met[0])
        alike = f"{', '.join(others)} and {last}"
        log.warning("subject: %s are treated as one subject%s; use one spelling per subject", alike, _more(len(met)))


def _tell_copies(tables: Sequence[FaceTable]) -> None:
    """Warn of images that are the only sign that two identities are one."""
    pictures = np.concatenate([table.pictures for table in tables])
    identities = np.concatenate([table.identities for table in tables])
    filenames = [filename for table in tables for filename in table.filenames.tolist()]
    order = np.argsort(pictures, kind="stable")
    repeated = pictures[order][1:] == pictures[order][:-1]
    same = np.flatnonzero(repeated & (identities[order][1:] != identities[order][:-1]))
    if len(same):
        one, other = int(order[same[0]]), int(order[same[0] + 1])
        log.warning(
            "'%s' (%s) and '%s' (%s) are the same image, so both subjects stay in one split%s",
            *(filenames[one], identities[one], filenames[other], identities[other], _more(len(same))),
        )


def _more(count: int) -> str:
    return f" ({count} such cases)" if count > 1 else ""
