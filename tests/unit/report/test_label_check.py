"""Suspicious labels as a file, as tables and as a picture: ranked, counted and shown with what contradicts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from faceflow.metrics.label_errors import find_label_errors
from faceflow.report.label_check import LabelCheck, draw_label_check, label_check_frame, label_check_tables
from tests.helpers.results import images

AUS = ("AU1", "AU9", "AU12")


def some_check(files: list[str] | None = None, **columns: Any) -> LabelCheck:
    """Twenty faces: AU1 contradicts rows 9 and 19, AU12 row 0 more than both; AU9 has too few labels."""
    probability, occurs = np.zeros((20, 3)), np.zeros((20, 3), bool)
    probability[:, 0] = [*[0.1] * 9, 0.9, *[0.8] * 9, 0.05]
    probability[:, 2] = [0.97, *[0.02] * 9, *[0.92] * 10]
    occurs[10:, [0, 2]] = True
    observed = np.ones((20, 3), bool)
    observed[5:, 1] = False
    faces = {"dataset": ["set"] * 20, "filename": [f"{row}.png" for row in range(20)], "subject": ["p", "q"] * 10}
    return LabelCheck(
        aus=AUS,
        probability=probability,
        occurs=occurs,
        errors=find_label_errors(probability, occurs, observed),
        faces=pd.DataFrame({**faces, **columns}),
        files=files or [f"nowhere/{row}.png" for row in range(20)],
    )


def cells(table: Table) -> list[list[str]]:
    return [list(map(str, row)) for row in zip(*(column.cells for column in table.columns), strict=True)]


def test_the_file_ranks_labels_of_all_aus_with_what_contradicts_them() -> None:
    frame = label_check_frame(some_check(coder=["ann", "bob"] * 10))
    assert frame.columns.tolist() == [
        *("rank", "dataset", "filename", "subject", "au", "label", "probability", "threshold", "score", "coder")
    ]
    assert frame[["rank", "filename", "subject", "au", "label", "coder"]].to_numpy().tolist() == [
        [1, "0.png", "p", "AU12", 0, "ann"],
        [2, "19.png", "q", "AU1", 1, "bob"],
        [3, "9.png", "q", "AU1", 0, "bob"],
    ]
    np.testing.assert_allclose(frame["probability"], [0.97, 0.05, 0.9], rtol=1e-6)
    np.testing.assert_allclose(frame["score"], [0.94, 0.9, 0.8], rtol=1e-6)
    # A label 0 is contradicted from the mean of labels 1 on, a label 1 up to one minus the mean of labels 0.
    np.testing.assert_allclose(frame["threshold"], [0.92, 1 - (9 * 0.9 + 0.1) / 10, (9 * 0.8 + 0.05) / 10], rtol=1e-6)


def test_tables_count_labels_by_au_and_say_what_was_not_checked() -> None:
    counts, first = label_check_tables(some_check(), title="t")
    assert cells(counts) == [
        ["AU1", "inner brow raiser", "20", "2", "10.0 %", "1", "1"],
        ["AU9", "nose wrinkler", "0", "-", "-", "-", "-"],
        ["AU12", "lip corner puller", "20", "1", "5.0 %", "1", "0"],
        ["all", "", "40", "3", "7.5 %", "2", "1"],
    ]
    assert "not checked: AU9 (fewer than 10 labels of 0, or of 1)" in str(counts.caption)
    assert cells(first)[0] == ["0.png", "p", "AU12", "0", "0.970", "0.940"]


def test_coders_and_videos_are_compared_where_there_are_several() -> None:
    check = some_check(coder=["ann"] * 5 + ["bob"] * 15, video=["v"] * 20)
    *_, by_coder = label_check_tables(check, title="t")
    assert cells(by_coder) == [["ann", "10", "1", "10.0 %"], ["bob", "30", "2", "6.7 %"]]
    assert check.to_dict() == {
        "labels": 40,
        "suspicious": 3,
        "per_au": {
            "AU1": {"labels": 20, "suspicious": 2, "suspicious_0": 1, "suspicious_1": 1},
            "AU9": {"labels": 0, "suspicious": 0, "suspicious_0": 0, "suspicious_1": 0},
            "AU12": {"labels": 20, "suspicious": 1, "suspicious_0": 1, "suspicious_1": 0},
        },
        "by": {
            "coder": {
                "ann": {"labels": 10, "suspicious": 1, "share": 0.1},
                "bob": {"labels": 30, "suspicious": 2, "share": 2 / 30},
            }
        },
    }


def test_the_picture_shows_aus_with_suspicious_labels(tmp_path: Path) -> None:
    figure = draw_label_check(some_check(images(tmp_path, 20)), "t", {})
    texts = [text.get_text() for text in figure.texts]
    assert texts[2:] == [
        *("AU1 inner brow raiser", "2 of 20 labels", "1, 0.05", "face19", "0, 0.90", "face9"),
        *("AU12 lip corner puller", "1 of 20 labels", "0, 0.97", "face0"),
    ]


def test_unreadable_pictures_are_reported() -> None:
    texts = [text.get_text() for text in draw_label_check(some_check(), "t", {}).texts]
    assert texts.count("no image can be read") == 2


def test_nothing_suspicious_is_reported_in_every_place() -> None:
    check = some_check()
    none = find_label_errors(check.probability, check.occurs, np.zeros((20, 3), bool))
    empty = LabelCheck(**{**vars(some_check()), "errors": none})
    assert label_check_frame(empty).empty
    assert len(label_check_tables(empty, title="t")) == 1
    assert draw_label_check(empty, "t", {}).texts[1].get_text() == "No label is suspicious."
