"""Training streams: the labelled faces, and the unlabelled pool if a method reads one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind
from faceflow.data.groups import domains_of
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import SplitConfig, Tables, hide_labels
from faceflow.data.subjects import connected
from faceflow.data.unlabeled import read_unlabeled
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)


def training_streams(
    splits: Tables,
    config: SplitConfig,
    *,
    views: Iterable[str],
    sets: Mapping[str, Mapping[str, Any]],
    include_labeled: bool,
    prefer: Kind,
) -> dict[str, list[FaceTable]]:
    """Hide labels as `split.labeled` says, and add the "unlabeled" tables if a view reads them.

    The pool holds the unlabelled sets without validation and test subjects, the faces whose labels are hidden and,
    optionally, the labelled training faces. Their labels are removed there: the network has learned them, so its
    pseudo-labels would look too good. No unlabelled file is opened for a method that reads none.

    Args:
        splits: "train", "val" and "test".
        config: of the split.
        views: that the method reads.
        sets: `data.unlabeled` of the config.
        include_labeled: whether labelled training faces join the pool.
        prefer: see `read_source`.

    Raises:
        ConfigError, DataError: the method reads unlabelled faces and there are none, or see `read_unlabeled`.
    """
    labeled, hidden = hide_labels(splits["train"], config)
    streams = {**splits, "train": labeled}
    if not any(UNLABELED in view for view in views):
        return streams
    outside = read_unlabeled(sets, prefer=prefer)
    if not outside and not hidden:
        raise ConfigError(
            "unlabeled: expected unlabelled faces, which this method learns from, got none; set unlabeled=FOLDER or "
            "data.unlabeled, hide labels with split.labeled=0.1, or use method=supervised"
        )
    pool = without_held_out(outside, splits) if outside else []
    own = _renamed(hidden, "hidden") + (_unjudged(_renamed(labeled, "labelled")) if include_labeled else [])
    return {**streams, UNLABELED: [*pool, *own]}


def without_held_out(unlabeled: Sequence[FaceTable], splits: Tables) -> list[FaceTable]:
    """Leave out unlabelled faces whose subject or image is in val or test: they would inflate all scores.

    Raises:
        DataError: no face is left, or the unlabelled faces reveal that two splits share a subject.
    """
    held_out, trained = [*splits.get("val", ()), *splits.get("test", ())], splits.get("train", [])
    tables = [*held_out, *trained, *unlabeled]
    people = np.split(connected(tables), np.cumsum([len(table) for table in tables])[:-1])
    outside, inside = _all(people[: len(held_out)]), _all(people[len(held_out) : len(held_out) + len(trained)])
    left = []
    for table, numbers in zip(unlabeled, people[len(tables) - len(unlabeled) :], strict=True):
        if (both := np.isin(numbers, np.intersect1d(outside, inside))).any():
            row = int(np.argmax(both))
            raise DataError(
                f"data.unlabeled: expected each subject in one split, got '{table.filenames[row]}' of "
                f"{table.subjects[row]}, whose ids or images are in train and also in val or test; correct its "
                "subject, or leave it out with data.unlabeled.*.exclude"
            )
        free = table.select(~np.isin(numbers, outside), table.split)
        if lost := len(table) - len(free):
            log.warning(
                "%s: left out %d of %d unlabelled faces: their subjects or images are in val or test",
                table.name,
                lost,
                len(table),
            )
        if len(free):
            left.append(free)
    if unlabeled and not left:
        raise DataError(
            "data.unlabeled: expected faces of subjects that are not in val or test, got none of "
            f"{sum(map(len, unlabeled))} faces; add other faces"
        )
    return left


def _all(numbers: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.unique(np.concatenate([np.empty(0, np.intp), *numbers]))


def _renamed(tables: Sequence[FaceTable], part: str) -> list[FaceTable]:
    """Add the name of a part to the tables' names; domains keep their names."""
    return [dataclasses.replace(table, name=f"{table.name}:{part}", domains=domains_of(table)) for table in tables]


def _unjudged(tables: Sequence[FaceTable]) -> list[FaceTable]:
    return [dataclasses.replace(table, scores=np.full_like(table.scores, np.nan)) for table in tables]
