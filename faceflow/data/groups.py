"""Domains and subjects of training faces as indices, the same in all streams."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.centring import LEAST_FRAMES
from faceflow.data.rows import Texts
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.subjects import connected

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Domain and subject of every training face; -1 if unknown.

    Attributes:
        domains: names in the order of their indices: those of labelled faces, then those only unlabelled faces have.
        subjects: their count. Rows that share a subject or an image belong to one subject.
        origins: their count. An origin is a subject or, without subjects, a video or, without that column, a folder of
            images. Origins with too few faces to show a face at rest are merged into one per domain.
        domain, subject, origin: stream -> index of each row of its tables, (N,).
    """

    domains: tuple[str, ...]
    subjects: int
    origins: int
    domain: Mapping[str, Numbers]
    subject: Mapping[str, Numbers]
    origin: Mapping[str, Numbers]


def number_groups(streams: Mapping[str, Sequence[FaceTable]]) -> Groups:
    """Number the domains and subjects of the streams "train" and, if present, "unlabeled"."""
    parts = {name: streams[name] for name in ("train", UNLABELED) if name in streams}
    domains: list[str] = []
    for tables in parts.values():
        found = {name for table in tables for name in np.unique(domains_of(table)).tolist()}
        domains += sorted(found - {"", *domains})
    index = {name: number for number, name in enumerate(domains)}
    everything = [table for tables in parts.values() for table in tables]
    subjects, subject = _subjects(everything)
    origins, origin = _origins(everything, subject)
    ends = np.cumsum([sum(map(len, tables)) for tables in parts.values()])
    return Groups(
        domains=tuple(domains),
        subjects=subjects,
        origins=origins,
        domain={name: _indices(tables, index) for name, tables in parts.items()},
        subject=dict(zip(parts, np.split(subject, ends[:-1]), strict=True)),
        origin=dict(zip(parts, np.split(origin, ends[:-1]), strict=True)),
    )


def domains_of(table: FaceTable) -> Texts:
    """Domain of every row: its value in the `domain` column, which may be "", or the data set if all are empty."""
    if table.domains is None or not (table.domains != "").any():
        return np.full(len(table), table.name)
    return table.domains


def _indices(tables: Sequence[FaceTable], index: Mapping[str, int]) -> Numbers:
    numbers = [np.empty(0, np.int64)]
    for table in tables:
        names, which = np.unique(domains_of(table), return_inverse=True)
        numbers.append(np.array([index.get(name, -1) for name in names.tolist()], np.int64)[which])
    return np.concatenate(numbers)


def _subjects(tables: Sequence[FaceTable]) -> tuple[int, Numbers]:
    """Count the subjects that at least one row names, and number them over all rows, (N,)."""
    people = connected(tables)
    named = np.concatenate([np.empty(0, np.bool_), *(np.full(len(table), table.has_subjects) for table in tables)])
    known = np.unique(people[named])
    place = np.searchsorted(known, people)
    return len(known), np.where(np.isin(people, known), place, -1).astype(np.int64)


def _origins(tables: Sequence[FaceTable], subject: Numbers) -> tuple[int, Numbers]:
    """Count the origins and number them over all rows, (N,)."""
    names = [np.empty(0, np.str_)]
    for table in tables:
        places = [os.path.dirname(file) for file in table.files.tolist()]  # noqa: PTH120  (a Path per file is slow)
        if table.videos is not None:
            places = [f"{place}/{video}" for video, place in zip(table.videos.tolist(), places, strict=True)]
        names.append(np.asarray(places, np.str_))
    name = np.where(subject >= 0, np.char.add("subject ", subject.astype(np.str_)), np.concatenate(names))
    _, which, faces = np.unique(name, return_inverse=True, return_counts=True)
    domain = np.concatenate([np.empty(0, np.str_), *map(domains_of, tables)])
    name = np.where(faces[which] >= LEAST_FRAMES, name, np.char.add("domain ", domain))
    found, which = np.unique(name, return_inverse=True)
    return len(found), which.astype(np.int64)
