from __future__ import annotations

from pathlib import Path

from faceflow.evaluation.run_context import label_files
from tests.helpers.faces import source_settings


def test_label_files_are_those_that_a_data_set_names() -> None:
    sources = {
        "whole": source_settings(labels="a.csv", images="faces"),
        "given": source_settings(test="test.csv", train="train.csv"),
    }
    assert label_files(sources) == {"whole": [Path("a.csv")], "given": [Path("train.csv"), Path("test.csv")]}
