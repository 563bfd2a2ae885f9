"""Predictions of all folds are pooled into one test, each frame at the threshold of its fold."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from faceflow.errors import DataError
from faceflow.evaluation.pooled import pool_tests, pooled_guesses

HEADER = "dataset,filename,subject,AU1_prob,AU1_occurs"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    folder.mkdir()
    (folder / "predictions.csv").write_text("\n".join([header, *rows, ""]), "utf-8")
    return folder


def test_each_frame_is_judged_at_the_threshold_of_its_fold(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "a,1,p,0.6,1", "a,2,p,0.4,0")
    two = write(tmp_path / "two", "a,3,q,0.6,0", "a,4,q,0.9,1")
    pooled = pool_tests([one, two], [{"AU1": 0.5}, {"AU1": 0.8}])
    scores = pooled.scores(resamples=0, seed=0)
    assert scores["f1_val"]["AU1"].value == 1.0  # 0.6 is above 0.5 in the first fold, and below 0.8 in the second
    assert scores["f1_0.5"]["AU1"].value == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert scores["f1_val"][None].value == 1.0
    assert math.isnan(scores["f1_val"]["AU1"].low)
    assert "icc" not in scores


def test_an_au_that_a_fold_lacks_counts_where_it_is_predicted(tmp_path: Path) -> None:
    more = f"{HEADER},AU4_prob,AU4_occurs"
    one = write(tmp_path / "one", "a,1,p,0.6,1,0.9,1", "a,2,p,0.4,0,0.1,0", header=more)
    two = write(tmp_path / "two", "a,3,q,0.6,0", "a,4,q,0.9,1")
    pooled = pool_tests([one, two], [{"AU1": 0.5, "AU4": 0.5}, {"AU1": None}])
    scores = pooled.scores(resamples=0, seed=0)
    assert pooled.aus == ("AU1", "AU4")
    assert scores["f1_val"]["AU4"].value == 1.0
    assert scores["f1_val"]["AU1"].value == 1.0, "without a threshold, the second fold takes no part"
    assert scores["f1_0.5"]["AU1"].value == pytest.approx(0.8)


def test_tables_that_name_a_subject_as_faceflow_0_1_did_are_pooled_alike(tmp_path: Path) -> None:
    rows = [["a,1,01,0.6,1", "a,2,02,0.4,0"], ["a,3,03,0.6,1"]]
    now = [write(tmp_path / f"now{place}", *lines) for place, lines in enumerate(rows)]
    before = [
        write(tmp_path / f"before{place}", *lines, header=HEADER.replace("subject", "person"))
        for place, lines in enumerate(rows)
    ]
    expected, found = (pool_tests(folders, [{"AU1": 0.5}] * 2) for folders in (now, before))
    assert found.subjects.tolist() == expected.subjects.tolist() == ["01", "02", "03"]


def test_intensities_are_pooled_where_there_are_some(tmp_path: Path) -> None:
    header = f"{HEADER},AU1_int,AU1"
    one = write(tmp_path / "one", "a,1,p,0.6,1,3.0,3", "a,2,p,0.4,0,0.0,0", header=header)
    two = write(tmp_path / "two", "a,3,q,0.6,0,1.0,1", "a,4,q,0.9,1,5.0,5", header=header)
    assert pool_tests([one, two], [{"AU1": 0.5}] * 2).scores(resamples=0, seed=0)["icc"]["AU1"].value == pytest.approx(
        1
    )


def test_lost_predictions_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(DataError, match=r"one/predictions.csv: expected .* remove '.*one/metrics.json' to test that"):
        pool_tests([tmp_path / "one"], [{}])


def test_guesses_count_the_faces_of_all_folds_with_a_label() -> None:
    first = {"AU1": {"positives": 1.0, "observed": 2.0}, "AU4": {"positives": 0.0, "observed": 2.0}}
    second = {"AU1": {"positives": 0.0, "observed": 2.0}}
    guesses = pooled_guesses([first, second])
    assert {au: found.value for au, found in guesses["f1_prior"].items()} == pytest.approx(
        {"AU1": 0.25, "AU4": math.nan, None: 0.25}, nan_ok=True
    )
    assert guesses["f1_always"]["AU1"].value == pytest.approx(0.5 / 1.25)
    assert math.isnan(guesses["f1_always"]["AU1"].low)
