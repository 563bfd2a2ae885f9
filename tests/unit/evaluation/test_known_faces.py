from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch

from faceflow.data.sources import FaceTable
from faceflow.data.subjects import unify
from faceflow.errors import CheckpointError, ConfigError, DataError
from faceflow.evaluation.known_faces import (
    check_same_faces,
    check_start,
    find_seen,
    remember,
    seen_subjects,
    with_start,
    without_seen,
)
from faceflow.models.checkpoint import Payload
from tests.helpers.folds import table
from tests.helpers.networks import network_spec

AUS = ["AU12"]


def payload(train: FaceTable, **changes: object) -> Payload:
    splits = {"train": [train], "val": [], "test": []}
    known = Payload(
        spec=network_spec(aus=("AU12",)),
        protocol={},
        seen=seen_subjects(splits),
        config={},
        versions={},
        faces=remember(splits, AUS),
    )
    return dataclasses.replace(known, **changes)  # type: ignore[arg-type]


def strangers(people: object, name: str = "own", folder: str = "new") -> FaceTable:
    return table(name, people, folder=folder)  # type: ignore[arg-type]


def leave_out(
    tables: list[FaceTable], known: Payload, *, everybody: bool, same_subjects: bool | None
) -> tuple[list[FaceTable], dict[str, str]]:
    return without_seen(tables, find_seen(tables, known), everybody=everybody, same_subjects=same_subjects)


def seen_of(test: FaceTable, known: Payload) -> tuple[list[bool], list[bool]]:
    (overlap,) = find_seen([test], known)
    return overlap.seen.tolist(), overlap.unsure.tolist()


def test_published_sets_go_by_their_ids() -> None:
    known = payload(table("disfa", ["SN001", "SN002"]))
    assert seen_of(strangers(["sn1", "SN003"], name="disfa"), known) == ([True, True, False, False], [False] * 4)


def test_ids_of_own_files_are_unsure_without_a_picture_beside_them() -> None:
    known = payload(table("own", ["1", "2"]))
    assert seen_of(strangers(["01", "3"]), known) == ([False] * 4, [True, True, False, False])


def test_one_known_picture_makes_its_subject_seen() -> None:
    train = table("own", ["1", "2"])
    test = strangers(["x", "y"])
    test.pictures[1] = train.pictures[0]
    assert seen_of(test, payload(train)) == ([True, True, False, False], [False] * 4)


def test_a_known_picture_in_one_table_makes_its_subject_seen_in_all() -> None:
    train = table("own", ["1", "2"])
    shown, others = strangers(["x", "y"], name="people"), strangers(["y", "z"], name="people", folder="newer")
    shown.pictures[2] = train.pictures[0]  # of y
    overlaps = find_seen([shown, others], payload(train))
    assert [overlap.seen.tolist() for overlap in overlaps] == [[False, False, True, True], [True, True, False, False]]


def test_a_subject_that_is_known_by_its_id_is_seen_under_its_other_name_too() -> None:
    published, own = strangers(["SN001"], name="disfa"), strangers(["7"], name="other")
    own.pictures[0] = published.pictures[0]
    overlaps = find_seen(unify([published, own]), payload(table("disfa", ["SN001", "SN002"])))
    assert [overlap.seen.tolist() for overlap in overlaps] == [[True, True], [True, True]]


def test_weights_that_know_the_test_subjects_are_refused_and_remembered() -> None:
    start = payload(table("disfa", ["SN001", "SN002"]))
    check_start(start, [strangers(["SN003"], name="disfa")], key="init_weights")
    with pytest.raises(ConfigError, match=r"^init_weights: expected weights .*, got 2 images .* such as disfa/SN002; "):
        check_start(start, [strangers(["SN002", "SN003"], name="disfa")], key="init_weights")
    faces, seen = with_start(remember({"train": [table("own", ["9"])], "val": []}, AUS), ["own/9"], start)
    later = dataclasses.replace(payload(table("own", ["9"])), faces=faces, seen=seen)
    assert seen_of(strangers(["SN001", "SN003"], name="disfa"), later)[0] == [True, True, False, False]
    check_same_faces("last.ckpt", later, faces=later.faces, seen=later.seen, key="resume")


def test_a_run_of_0_1_0_without_subjects_continues() -> None:
    old = payload(table("own", ["1"]), faces={}, seen=["labels/0.jpg", "labels/1.png", "faces/s1"])
    check_same_faces("last.ckpt", old, faces={}, seen=["own/s1"], key="resume")
    with pytest.raises(CheckpointError, match="got others"):
        check_same_faces("last.ckpt", old, faces={}, seen=["own/s1", "own/s2"], key="resume")
    with pytest.raises(CheckpointError, match="got others"):
        check_same_faces("last.ckpt", old, faces={}, seen=[], key="resume")


def test_a_picture_beside_its_own_id_vouches_for_all_ids() -> None:
    train = table("own", ["1", "2"])
    test = strangers(["1", "2", "3"])
    test.pictures[0] = train.pictures[0]
    assert seen_of(test, payload(train)) == ([True] * 4 + [False] * 2, [False] * 6)


def test_without_subjects_only_the_known_pictures_are_seen() -> None:
    train = table("own", ["1", "2"])
    test = table("photos", ["a"], folder="x")
    test = dataclasses.replace(test, has_subjects=False, subjects=test.files, identities=test.files)
    test.pictures[0] = train.pictures[3]
    assert seen_of(test, payload(train)) == ([True, False], [False, False])


def test_an_older_checkpoint_is_asked_by_names() -> None:
    old = payload(table("faces", ["1", "2"]), seen=["faces/001", "faces/2"], faces={})
    same = dataclasses.replace(strangers(["1", "3"]), name="faces")
    assert seen_of(same, old) == ([True, True, False, False], [False] * 4)
    assert seen_of(dataclasses.replace(same, name="renamed"), old) == ([False] * 4, [True, True, False, False])


def test_excluded_subjects_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    known = payload(table("own", ["1", "2"]))
    kept, note = leave_out([strangers(["1", "3"])], known, everybody=False, same_subjects=None)
    assert (len(kept[0]), note) == (4, {"caution": "1 subject with ids of training subjects counted as other people"})
    assert "1 subject id of the training data, such as '1', but none of their training images" in caplog.text
    kept, note = leave_out([strangers(["1", "3"])], known, everybody=False, same_subjects=True)
    assert (len(kept[0]), note) == (2, {"left out": "2 images of seen subjects"})
    with pytest.raises(DataError, match=r"got none \(4 images of training and validation subjects left out\)"):
        leave_out([strangers(["1", "2"])], known, everybody=False, same_subjects=True)
    kept, note = leave_out([table("own", ["1"])], known, everybody=True, same_subjects=None)
    assert (len(kept[0]), note) == (2, {"caution": "includes subjects seen in training or validation"})


def check(theirs: Payload, faces: object) -> None:
    check_same_faces("last.ckpt", theirs, faces=faces, seen=theirs.seen, key="resume")  # type: ignore[arg-type]


def test_the_same_faces_elsewhere_are_the_same(caplog: pytest.LogCaptureFixture) -> None:
    train = table("own", range(4))
    elsewhere = dataclasses.replace(train, name="x", files=train.files[::-1], subjects=train.subjects[::-1])
    check(payload(train), remember({"train": [elsewhere], "val": []}, AUS))
    assert not caplog.records
    check(payload(train), remember({"train": [train.select(np.arange(8)[::-1], "train")], "val": []}, AUS))
    assert "the train faces are in another order" in caplog.text


def test_other_faces_or_labels_are_counted() -> None:
    train = table("own", range(4))
    fewer = remember({"train": [train.select(np.arange(6), "train")], "val": []}, AUS)
    with pytest.raises(CheckpointError, match=r"train faces of 'last.ckpt', got 0 other faces and 2 missing ones; "):
        check(payload(train), fewer)
    more = remember({"train": [train], "val": [strangers(range(3))]}, AUS)
    with pytest.raises(CheckpointError, match=r"the val faces of 'last.ckpt', got 6 other faces and 0 missing ones; "):
        check(payload(train), more)
    relabelled = dataclasses.replace(train, scores=train.scores.copy())
    relabelled.scores[[2, 5]] = [[4.0], [np.nan]]
    with pytest.raises(CheckpointError, match=r"got other labels for 2 of them; "):
        check(payload(train), remember({"train": [relabelled], "val": []}, AUS))


def test_a_picture_that_comes_twice_counts_twice() -> None:
    train = table("own", range(2))
    twice = dataclasses.replace(train, pictures=np.array([1, 1, 2, 3]))
    with pytest.raises(CheckpointError, match=r"got 1 other faces and 1 missing ones; "):
        check(
            payload(twice),
            remember({"train": [dataclasses.replace(train, pictures=np.array([1, 2, 2, 3]))], "val": []}, AUS),
        )


def test_labels_of_the_pool_stay_hidden() -> None:
    faces = remember({"train": [table("a", [1])], "unlabeled": [table("b", [1])], "test": [table("c", [1])]}, AUS)
    assert {split: sorted(kinds) for split, kinds in faces.items()} == {
        "train": ["labels", "pictures"],
        "unlabeled": ["pictures"],
    }
    assert all(hashes.dtype == torch.int64 for kinds in faces.values() for hashes in kinds.values())
