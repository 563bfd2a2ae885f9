"""Files of an earlier start decide how a fold is continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faceflow.config.stored import store_config
from faceflow.data.protocols.protocol import Fold
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.run_context import RunContext
from faceflow.training.earlier import Earlier, find_earlier
from faceflow.training.run_data import RunData, choose_data
from tests.helpers.contexts import run_context
from tests.helpers.networks import label_table
from tests.helpers.runs import data_settings

LABELS = {"AU1": [0.0, 5.0, 0.0, 5.0]}
NOTHING = Earlier(finished=False, checkpoint=None)


def data_of(labels: dict[str, list[float]] = LABELS) -> RunData:
    splits = {split: [label_table(split, labels)] for split in ("train", "val", "test")}
    return choose_data(Fold(name="fold1", splits=splits, rule="by hand", alone={}, legacy=False), data_settings())


def context_of(folder: Path, **config: Any) -> RunContext:
    return run_context(folder, fold="fold1", config={"task": "train", "seed": 0, "paths": {"output": "x"}} | config)


def finish(folder: Path, *, tested: bool, **config: Any) -> None:
    """What a finished fold leaves."""
    folder.mkdir(exist_ok=True)
    store_config(context_of(folder, **config).config, folder)
    record = {"monitor": {"metric": "val/f1_val", "best": 0.5}, "run": {"data": data_of().fingerprints}}
    (folder / "metrics.json").write_text(json.dumps(record | ({"test": {}} if tested else {})), "utf-8")


def test_an_empty_folder_starts_afresh(tmp_path: Path) -> None:
    assert find_earlier(context_of(tmp_path), data_of(), test=True) == NOTHING


@pytest.mark.parametrize(("tested", "test", "finished"), [(True,) * 3, (False, False, True), (False, True, False)])
def test_a_fold_is_finished_once_it_is_tested_if_that_is_asked_for(
    tested: bool, test: bool, finished: bool, tmp_path: Path
) -> None:
    finish(tmp_path, tested=tested)
    assert find_earlier(context_of(tmp_path), data_of(), test=test).finished is finished


def test_a_fold_of_another_config_is_refused_but_for_what_changes_no_number(tmp_path: Path) -> None:
    finish(tmp_path, tested=True, lr=0.1, loader={"workers": 1, "batch_size": 8})
    same = context_of(tmp_path, lr=0.1, loader={"workers": 4, "batch_size": 8})
    assert find_earlier(same, data_of(), test=True).finished
    other = context_of(tmp_path, lr=0.2, loader={"workers": 1, "batch_size": 8})
    with pytest.raises(ConfigError, match=r"lr: expected 0\.1 as in '.*config.yaml', got 0\.2; repeat the settings"):
        find_earlier(other, data_of(), test=True)


def test_a_fold_of_other_data_is_refused(tmp_path: Path) -> None:
    finish(tmp_path, tested=True)
    with pytest.raises(DataError, match="expected the data of that run, got other faces, subjects or labels in train"):
        find_earlier(context_of(tmp_path), data_of({"AU1": [0.0, 5.0, 5.0, 5.0]}), test=True)
