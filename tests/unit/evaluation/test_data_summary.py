"""The data report counts the content of each split and names labels hidden from training."""

from __future__ import annotations

import dataclasses
import math

from faceflow.data.sources import UNLABELED
from faceflow.evaluation.data_summary import summarize
from tests.helpers.networks import label_table


def test_labels_and_positives_are_counted_by_au() -> None:
    table = label_table("faces", {"AU1": [0, 1, 2, 5], "AU12": [math.nan, 3, math.nan, 0]})
    (summary,) = summarize({"train": [table]}, ["AU12", "AU1", "AU4"])
    assert (summary.split, summary.dataset, summary.images, summary.subjects) == ("train", "faces", 4, 4)
    assert summary.valid == {"AU12": 2, "AU1": 4, "AU4": 0}
    assert summary.positives == {"AU12": 1, "AU1": 2, "AU4": 0}  # from 2 on
    assert summary.labels == "occurrence = intensity >= 2 on a 0-5 scale"


def test_there_is_a_summary_per_split_and_data_set_in_order() -> None:
    first, second = (label_table(name, {"AU1": [0, 5]}) for name in ("first", "second"))
    summaries = summarize({"train": [first, second], "val": [first], "test": []}, ["AU1"])
    assert [(each.split, each.dataset) for each in summaries] == [
        ("train", "first"),
        ("train", "second"),
        ("val", "first"),
    ]


def test_labels_of_the_unlabelled_pool_are_called_hidden() -> None:
    pool = dataclasses.replace(label_table("faces", {"AU1": [0, 5]}), split=UNLABELED)
    bare = dataclasses.replace(pool, columns=(), scales=(), scores=pool.scores[:, :0])
    hidden, none = summarize({UNLABELED: [pool, bare]}, ["AU1"])
    assert hidden.labels == "hidden: occurrence = intensity >= 2 on a 0-5 scale"
    assert none.labels == "none"
