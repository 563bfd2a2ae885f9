from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import faceflow
from faceflow.errors import DataError
from faceflow.evaluation.record import fingerprints, provenance, read_record, run_record, versions
from tests.helpers.networks import label_table

FINISHED: dict[str, Any] = {"monitor": {"metric": "val/f1_val", "best": 0.5}, "run": {"data": {"train": {}}}}


def test_fingerprints_follow_pictures_and_labels_not_names() -> None:
    table, same = label_table("faces", {"AU1": [0, 5]}), label_table("faces", {"AU1": [0, 5]})
    other = label_table("faces", {"AU1": [0, 4]})
    prints = fingerprints({"train": [table], "test": []})
    assert prints == {"train": {"faces": {"rows": 2, "content": table.fingerprint()}}, "test": {}}
    assert same.fingerprint() == table.fingerprint() != other.fingerprint()


def test_a_record_says_what_made_the_numbers() -> None:
    data = {"train": {"faces": {"rows": 2, "content": "47e2"}}}
    record = run_record(seed=7, protocol={"split": "by subject"}, data=data, started=time.time() - 3)
    assert (record["seed"], record["data"], record["protocol"]) == (7, data, {"split": "by subject"})
    assert 3 <= record["seconds"] < 60
    assert record["versions"] == versions()
    assert record["versions"]["faceflow"] == faceflow.__version__
    json.dumps(record)


def test_a_fold_is_named_with_the_folder_of_its_protocol(tmp_path: Path) -> None:
    output = tmp_path / "kfold" / "fold1"
    assert provenance(output, fold=True)["id"] == "kfold/fold1"
    assert provenance(output, fold=False)["id"] == "fold1"


def test_the_record_of_a_finished_fold_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(FINISHED), "utf-8")
    assert read_record(tmp_path) == FINISHED


@pytest.mark.parametrize(
    "text", [None, "", "[]", '{"run": {"data": {}}}', json.dumps(FINISHED | {"monitor": {"best": None}})]
)
def test_a_damaged_record_is_named_with_what_to_do(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "metrics.json").write_text(text, "utf-8")
    with pytest.raises(DataError, match=r"metrics.json: expected the record of a finished fold.* to train it again"):
        read_record(tmp_path)
