"""The faces and labels of one run: chosen, counted and shown."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from faceflow.console import print_lines, print_tables
from faceflow.data.assembly import check_levels, check_reading, choose_aus, count_labels, describe_protocol
from faceflow.data.features import read_features
from faceflow.data.groups import Groups, number_groups
from faceflow.data.protocols.protocol import LEGACY, Fold
from faceflow.data.sources import SPLITS
from faceflow.data.splits import SplitConfig, Tables
from faceflow.data.streams import training_streams
from faceflow.encoding import cutpoints
from faceflow.evaluation.data_summary import DATA, summarize
from faceflow.evaluation.known_faces import remember, seen_subjects
from faceflow.evaluation.record import fingerprints
from faceflow.losses.elementwise import LabelCounts
from faceflow.models.checkpoint import Faces
from faceflow.report.tables import data_tables
from faceflow.training.preview import preview_faces
from faceflow.training.rank import is_rank_zero

_FITTED = 20_000  # faces by which features are standardised


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which faces and labels a training takes.

    Attributes:
        aus: that the network is to learn; None for all that the training data label.
        levels, cutpoints: of the labels, see `faceflow.encoding`.
        split: shares of the subjects.
        views: that the method reads, and which one is computed for each, see `computed_views`.
        unlabeled: sets of unlabelled faces by name, see `faceflow.data.unlabeled`.
        include_labeled: whether labelled training faces join the unlabelled ones.
    """

    aus: Sequence[str] | None
    levels: int
    cutpoints: Sequence[float] | None
    split: SplitConfig
    views: Mapping[str, str]
    unlabeled: Mapping[str, Mapping[str, Any]]
    include_labeled: bool


@dataclass(frozen=True, kw_only=True)
class Look:
    """A look at the data instead of a training: their report, and a picture of `faces` of them, 0 for none."""

    faces: int


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What a run trains, validates and tests on.

    Attributes:
        streams: splits, and the unlabelled pool where a view reads it.
        views: that the method reads, and which one is computed for each.
        aus: of the network, in its order.
        points: cut points of the levels, see `faceflow.encoding`.
        occurrence_min: rule of occurrence in FACS units.
        protocol: how the data were split and what labels mean, beside every number.
        legacy: whether the test faces choose the epoch, at threshold 0.5.
    """

    streams: Tables
    views: Mapping[str, str]
    aus: tuple[str, ...]
    points: tuple[float, ...]
    occurrence_min: float
    protocol: Mapping[str, str]
    legacy: bool

    @functools.cached_property
    def fingerprints(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Rows and fingerprint of every data set in every stream."""
        return fingerprints(self.streams)

    @functools.cached_property
    def groups(self) -> Groups:
        """Domains and subjects of the faces that it trains on."""
        return number_groups(self.streams)

    @functools.cached_property
    def faces(self) -> Faces:
        """Hashes of the faces that it trains and validates on."""
        return remember(self.streams, self.aus)

    @functools.cached_property
    def seen(self) -> list[str]:
        """Identities of the subjects that it trains and validates on."""
        return seen_subjects(self.streams)

    def features(self) -> Tensor:
        """Features (N, F) of at most `_FITTED` training faces, at equal steps through all.

        Raises:
            DataError: a face of any stream has none.
        """
        stores = {}
        for stream, tables in self.streams.items():
            files = [str(file) for table in tables for file in table.files]
            stores[stream] = read_features(files, key=", ".join(dict.fromkeys(table.name for table in tables)))
        train = stores["train"]
        rows = np.unique(np.linspace(0, len(train) - 1, min(_FITTED, len(train))).astype(int)).tolist()
        return torch.from_numpy(np.stack([train[row] for row in rows]))

    def tables(self) -> list[Table]:
        """Tables of the data report."""
        return data_tables(summarize(self.streams, self.aus), self.aus)

    def count(self) -> LabelCounts:
        """Count labels, domains and subjects of the training faces; warn of labels that are read otherwise than meant.

        Raises:
            DataError: an AU without any label, or no positive label at all.
        """
        labelled = [table for split in SPLITS for table in self.streams[split]]
        check_reading(labelled, self.aus, self.points, self.occurrence_min)
        positives, observed = map(torch.from_numpy, count_labels(self.streams["train"], self.aus, self.points))
        return LabelCounts(
            positives,
            observed,
            domains=self.groups.domains,
            subjects=self.groups.subjects,
            origins=self.groups.origins,
        )


def choose_data(fold: Fold, settings: DataSettings) -> RunData:
    """Choose the AUs of a fold and open its training streams.

    Raises:
        ConfigError, DataError: see `choose_aus`, `check_levels` and `training_streams`.
    """
    aus = choose_aus(settings.aus, fold.splits["train"])
    tables = [table for tables in fold.splits.values() for table in tables]
    occurrence_min = check_levels(tables, aus, levels=settings.levels)
    streams = training_streams(
        fold.splits,
        settings.split,
        views=settings.views,
        sets=settings.unlabeled,
        include_labeled=settings.include_labeled,
        prefer="intensity" if settings.levels > 1 else "occurrence",
    )
    return RunData(
        streams=streams,
        views=settings.views,
        aus=aus,
        points=cutpoints(settings.levels, settings.cutpoints, occurrence_min),
        occurrence_min=occurrence_min,
        protocol=({"legacy": LEGACY} if fold.legacy else {}) | describe_protocol(streams, rule=fold.rule),
        legacy=fold.legacy,
    )


def show_data(data: RunData, transforms: Mapping[str, Any], *, folder: Path, look: Look | None) -> None:
    """Print what is in the data; for a look, also write it, and draw what the transforms do to some training faces.

    Args:
        data: of a run.
        transforms: view -> steps of its pipeline.
        folder: where files go.
        look: what is asked for instead of training; None where training follows.
    """
    if not is_rank_zero():
        return
    print_tables(*data.tables(), saved_to=folder / DATA if look else None)
    if look and look.faces:
        picture = preview_faces(data.streams["train"], transforms, faces=look.faces, folder=folder)
        print_lines(f"Picture: {picture}")
