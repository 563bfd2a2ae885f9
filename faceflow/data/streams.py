"""What goes into the training streams: the labelled faces, and the unlabelled pool where a method reads one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faceflow.aus import Kind
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import SplitConfig, Tables, hide_labels
from faceflow.data.unlabeled import read_unlabeled, without_held_out
from faceflow.errors import ConfigError


def training_streams(
    splits: Tables,
    config: SplitConfig,
    *,
    views: Iterable[str],
    sets: Mapping[str, Mapping[str, Any]],
    include_labeled: bool,
    prefer: Kind,
) -> dict[str, list[FaceTable]]:
    """Hide labels as the split asks, and add the "unlabeled" tables if a view reads them.

    The pool holds the unlabelled sets without validation and test persons, the faces whose labels are hidden and, if
    asked, the labelled training faces. No unlabelled file is opened for a method that reads none.

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
            "data.unlabeled, hide labels with split.labeled=0.1, or take method=supervised"
        )
    pool = without_held_out(outside, splits) if outside else []
    own = _renamed(hidden, "hidden") + (_renamed(labeled, "labelled") if include_labeled else [])
    return {**streams, UNLABELED: [*pool, *own]}


def _renamed(tables: Sequence[FaceTable], part: str) -> list[FaceTable]:
    return [dataclasses.replace(table, name=f"{table.name}:{part}") for table in tables]
