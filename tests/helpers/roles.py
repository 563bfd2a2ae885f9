"""One random case of training and testing with only the data layer, checked for subjects in two roles."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from faceflow.data.assembly import read_tables
from faceflow.data.protocols.holdout import Holdout
from faceflow.data.protocols.protocol import Fold
from faceflow.data.protocols.subject_folds import KFold
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig
from faceflow.data.streams import training_streams
from faceflow.errors import DataError
from faceflow.evaluation.known_faces import find_seen, remember, seen_subjects, without_seen
from faceflow.models.checkpoint import Payload
from tests.helpers.networks import network_spec
from tests.helpers.populations import Population

Streams = Mapping[str, Sequence[FaceTable]]


def play(folder: Path, *, seed: int) -> str:
    """Split random data, fill the unlabelled pool, and test its checkpoint on other random data.

    Returns:
        How far it got: "refused" (one line says why the data cannot be used), "trained" or "tested".
    """
    folder.mkdir()
    people = Population(folder, np.random.default_rng(seed))
    rng = people.rng
    split = SplitConfig(val=0.2, test=0.3, seed=seed, labeled=float(rng.choice([1.0, 0.5])))
    protocol = Holdout(legacy=False) if rng.random() < 0.7 else KFold(k=2, seed=seed, only=None, legacy=False)
    try:
        folds = protocol.folds(read_tables(people.sources(), levels=5), split)
        outcomes = [_train_and_test(people, fold, split) for fold in folds]
    except DataError as error:
        assert "\n" not in str(error)
        return "refused"
    finally:
        shutil.rmtree(folder)
    return "tested" if "tested" in outcomes else "trained"


def _train_and_test(people: Population, fold: Fold, split: SplitConfig) -> str:
    streams = training_streams(
        fold.splits,
        split,
        views=["labeled/weak", "unlabeled/strong"],
        sets=people.pools(),
        include_labeled=bool(people.rng.random() < 0.5),
        prefer="intensity",
    )
    _check_roles(people, streams)
    payload = Payload(
        spec=network_spec(aus=("AU12",)),
        protocol={},
        seen=seen_subjects(streams),
        config={},
        versions={},
        faces=remember(streams, ["AU12"]),
    )
    tables = read_tables(people.sources(), levels=5)
    try:
        kept, _ = without_seen(tables, find_seen(tables, payload), everybody=False, same_subjects=None)
    except DataError:
        return "trained"
    learned = {
        file for name in ("train", "val", "unlabeled") for table in streams[name] for file in table.files.tolist()
    }
    tested = {file for table in kept for file in table.files.tolist()}
    for part in people.people_of(learned | tested, mean_nothing="own"):
        assert not (part & learned and part & tested), f"trained and tested: {sorted(part)}"
    return "tested"


def _check_roles(people: Population, streams: Streams) -> None:
    roles = {"train": "learned", "unlabeled": "learned"}
    role_of = {
        file: roles.get(name, name)
        for name, tables in streams.items()
        for table in tables
        for file in table.files.tolist()
    }
    for part in people.people_of(role_of):
        assert len({role_of[file] for file in part}) == 1, f"one subject in two roles: {sorted(part)}"
