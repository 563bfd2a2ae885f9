"""Training and validation faces of a checkpoint: hashed by content, so they are found under any file name."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import Tables
from faceflow.data.subject_ids import OWN, identity_of
from faceflow.errors import CheckpointError, ConfigError, DataError
from faceflow.images import IMAGE_SUFFIXES
from faceflow.models.checkpoint import Faces, Payload

log = logging.getLogger(__name__)

REMEMBERED = ("train", "val", UNLABELED)  # splits that a test must not share a subject with
START = "start"  # faces of the checkpoint whose weights a run started from


def remember(splits: Tables, aus: Sequence[str]) -> Faces:
    """Hashes of the images and of the labels of some AUs, in the order of the rows of each split.

    Labels of the unlabelled pool stay hidden, so they are not hashed.
    """
    return {
        split: {
            "pictures": _joined([table.pictures for table in tables]),
            **({} if split == UNLABELED else {"labels": _joined([_label_hashes(table, aus) for table in tables])}),
        }
        for split, tables in splits.items()
        if split in REMEMBERED
    }


def seen_subjects(splits: Tables) -> list[str]:
    """Identities of the subjects that training or validation used."""
    tables = [table for split in REMEMBERED for table in splits.get(split, ()) if table.has_subjects]
    return sorted({str(identity) for table in tables for identity in table.identities})


def with_start(faces: Faces, seen: Sequence[str], start: Payload | None) -> tuple[Faces, list[str]]:
    """Add the faces and subjects that the checkpoint a run starts from has seen: the new network has seen them, too."""
    if start is None:
        return faces, list(seen)
    pictures = [hashes["pictures"] for hashes in start.faces.values()]
    known = {START: {"pictures": torch.cat(pictures)}} if pictures else {}
    return {**faces, **known}, sorted({*seen, *map(identity_of, start.seen)})


def check_start(start: Payload | None, tests: Sequence[FaceTable], *, key: str) -> None:
    """Refuse to test subjects that the starting weights have seen.

    Raises:
        ConfigError: names one of them.
    """
    if start is None:
        return
    found = [table.subjects[overlap.seen] for table, overlap in zip(tests, find_seen(tests, start), strict=True)]
    if count := sum(map(len, found)):
        subject = next(str(subjects[0]) for subjects in found if len(subjects))
        raise ConfigError(
            f"{key}: expected weights of a run that has not seen the test subjects, got {count} images of subjects "
            f"that it has seen, such as {subject}; repeat its split, test other data, or skip the test with test=false"
        )


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Rows of a table whose subject a checkpoint has seen; `unsure`: only the subject id suggests it."""

    seen: NDArray[np.bool_]
    unsure: NDArray[np.bool_]


def find_seen(tables: Sequence[FaceTable], payload: Payload) -> list[Overlap]:
    """Find the subjects of training and validation, by content first.

    A training image marks all rows of its subject as seen. In data sets with fixed subject ids, as published ones have,
    an equal id does so, too. In the user's own files an id means the same subject if some training image has its own id
    there, as that makes it the same collection; otherwise the id is unsure.
    """
    if not payload.faces:
        return [_find_by_names(table, payload) for table in tables]
    known = np.concatenate([faces["pictures"].numpy() for faces in payload.faces.values()])
    pictures = [np.isin(table.pictures, known) for table in tables]
    named = [np.isin(table.identities, payload.seen) & table.has_subjects for table in tables]
    same_files = any((picture & name).any() for picture, name in zip(pictures, named, strict=True))
    sure = [
        picture | (name & (same_files | ~_own(table)))
        for table, picture, name in zip(tables, pictures, named, strict=True)
    ]
    seen = _of_the_same_people(tables, sure)
    return [Overlap(seen=rows, unsure=name & ~rows) for rows, name in zip(seen, named, strict=True)]


def check_same_faces(path: str | Path, theirs: Payload, *, faces: Faces, seen: Sequence[str], key: str) -> None:
    """Check that a run continues with the faces and labels of its checkpoint, wherever the files are now.

    Args:
        path: of the checkpoint.
        theirs: its payload.
        faces: of this run, see `remember`.
        seen: of this run, see `seen_subjects`.
        key: config key of the checkpoint, for messages.

    Raises:
        CheckpointError: some faces are new, missing or labelled differently; it counts them.
    """
    if not theirs.faces:
        # Ids with the suffix of an image are file names, not subjects.
        gone = {each for each in _ids(theirs.seen) - _ids(seen) if not each.endswith(IMAGE_SUFFIXES)}
        if gone or not _ids(seen) <= _ids(theirs.seen):
            raise CheckpointError(
                f"{key}: expected the training and validation subjects of '{path}', got others; resume with the data "
                "and the split of that run"
            )
        return
    for split in [each for each in {**theirs.faces, **faces} if each != START]:
        old, new = theirs.faces.get(split, {}), faces.get(split, {})
        if changes := _changes(old, new):
            raise CheckpointError(
                f"{key}: expected the {split} faces of '{path}', got {changes}; resume with the data and the split of "
                "that run, or start from its weights with init_weights=PATH"
            )
        if not torch.equal(old["pictures"], new["pictures"]):
            log.warning(
                "%s: the %s faces are in another order; results differ slightly from an uninterrupted run", key, split
            )


def without_seen(
    tables: Sequence[FaceTable], overlaps: Sequence[Overlap], *, everybody: bool, same_subjects: bool | None
) -> tuple[list[FaceTable], dict[str, str]]:
    """Leave out the subjects of training and validation, and note it for the protocol.

    Args:
        tables: faces to be tested.
        overlaps: with the faces of the checkpoint, see `find_seen`.
        everybody: whether to leave out no subject.
        same_subjects: whether ids of training subjects without any training image are the same subjects; None counts
            them as other subjects, with a warning.

    Raises:
        ConfigError: `same_subjects` is not true, false or null.
        DataError: no subject is left.
    """
    if same_subjects not in (None, True, False):
        raise ConfigError(f"same_subjects: expected true, false or null, got {same_subjects!r}")
    seen = [overlap.seen | (overlap.unsure & (same_subjects is True)) for overlap in overlaps]
    seen = _of_the_same_people(tables, seen)
    if everybody:
        includes = {"caution": "includes subjects seen in training or validation"}
        return list(tables), includes if any(rows.any() for rows in seen) else {}
    kept = [table.select(~rows, table.split) for table, rows in zip(tables, seen, strict=True)]
    left_out = sum(int(rows.sum()) for rows in seen)
    if not any(map(len, kept)):
        raise DataError(
            f"data: expected subjects that the checkpoint has not seen, got none ({left_out} images of training and "
            "validation subjects left out); test other data, or set subset=all: its scores say nothing about new faces"
        )
    note = {}
    if left_out:
        log.warning("left out %d images of subjects that the checkpoint was trained or validated on", left_out)
        note["left out"] = f"{left_out} images of seen subjects"
    pairs = zip(tables, overlaps, strict=True)
    unsure = sorted({str(subject) for table, overlap in pairs for subject in table.subjects[overlap.unsure]})
    if unsure and same_subjects is None:
        log.warning(
            "found %d subject id%s of the training data, such as '%s', but none of their training images: tested as "
            "other subjects; set same_subjects=true or false to state whether they are the same",
            *(len(unsure), "" if len(unsure) == 1 else "s", unsure[0].partition("/")[2]),
        )
        note["caution"] = f"{_count(unsure)} with ids of training subjects counted as other people"
    elif unsure and same_subjects is False:
        note["subjects"] = f"{_count(unsure)} with ids of training subjects counted as other subjects, as stated"
    return [table for table in kept if len(table)], note


def _of_the_same_people(tables: Sequence[FaceTable], rows: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Add all other rows of the subjects of the chosen rows."""
    people = {str(subject) for table, chosen in zip(tables, rows, strict=True) for subject in table.subjects[chosen]}
    return [np.isin(table.subjects, sorted(people)) for table in tables]


def _count(subjects: Sequence[str]) -> str:
    return f"{len(subjects)} subject{'' if len(subjects) == 1 else 's'}"


def _find_by_names(table: FaceTable, payload: Payload) -> Overlap:
    """Find seen subjects for a checkpoint of 0.1.0, which named subjects by the file that listed them."""
    known, name = {identity_of(subject) for subject in payload.seen}, table.name.partition(":")[0]
    ids = [str(identity).partition("/")[2] for identity in table.identities]
    if not table.has_subjects:
        files = np.asarray([f"{name}/{filename}" for filename in table.filenames])
        return Overlap(seen=np.isin(files, payload.seen), unsure=np.zeros(len(table), np.bool_))
    before = np.asarray([f"{name}/{each}" for each in ids])
    seen = np.isin(table.identities, sorted(known)) | np.isin(before, sorted(known))
    alike = np.isin(ids, sorted(_ids(payload.seen)))
    return Overlap(seen=seen, unsure=alike & ~seen & _own(table))


def _ids(subjects: Iterable[str]) -> set[str]:
    """Normalised ids of subjects, without the names of their files."""
    return {identity_of(subject).partition("/")[2] for subject in subjects}


def _own(table: FaceTable) -> NDArray[np.bool_]:
    """Rows whose subject ids have a meaning only within one command."""
    return np.char.startswith(table.identities, f"{OWN}/")


def _changes(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> str:
    """Describe how two sets of faces differ; empty if they do not."""
    counts = [
        dict(zip(*np.unique(faces.get("pictures", torch.empty(0)), return_counts=True), strict=True))
        for faces in (old, new)
    ]
    added = sum(max(0, count - counts[0].get(picture, 0)) for picture, count in counts[1].items())
    gone = sum(max(0, count - counts[1].get(picture, 0)) for picture, count in counts[0].items())
    if added or gone:
        return f"{added} other faces and {gone} missing ones"
    if "labels" in old and "labels" in new:
        rows = [
            np.sort(np.stack([faces["pictures"], faces["labels"]]).T.copy().view("i8,i8").ravel())
            for faces in (old, new)
        ]
        if changed := int((rows[0] != rows[1]).sum()):
            return f"other labels for {changed} of them"
    return ""


def _label_hashes(table: FaceTable, aus: Sequence[str]) -> NDArray[np.int64]:
    """Hash what training learns from each row, (N,)."""
    truth = table.truth(aus)
    # Intensities to a millionth: scales that differ only by rounding give the same labels.
    graded = np.round(np.nan_to_num(truth.intensity, nan=-1.0) * 1e6).astype(np.int64)
    rows = np.hstack([graded, truth.occurrence, truth.observed]).astype(np.int64)
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.fromiter((int.from_bytes(digest, "little", signed=True) for digest in digests), np.int64, len(rows))


def _joined(hashes: Sequence[NDArray[np.int64]]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *hashes]))
