"""Groups as a table, a file and a picture: all numbers have intervals, and the caption names what is left out."""

from __future__ import annotations

import dataclasses
import io
import math

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from rich.console import Console
from rich.table import Table

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.group_scores import ColumnScores, score_groups
from faceflow.report.groups import draw_groups, groups_content, groups_frame, groups_table
from faceflow.report.palette import VERMILION

NAN = math.nan
PROBABILITY = [0.9, 0.2, 0.8, 0.1, 0.6, 0.7, 0.3, 0.2]
LABELS = [1, 0, 1, 0, 1, 0, 1, 0]
GLASSES = ["no"] * 4 + ["yes"] * 4
PROTOCOL = {"split": "by subject"}


def scored(resamples: int = 0, least: int = 1, *, graded: bool = False, **columns: list[str]) -> list[ColumnScores]:
    """Two AUs of eight faces; the second occurs on the first alone, so that those with glasses have no score of it."""
    probability = np.array([PROBABILITY, [0.9] + [0.1] * 7]).T
    labels = np.array([LABELS, [1] + [0] * 7]).T
    return score_groups(
        {name: np.array(texts) for name, texts in columns.items()},
        np.array(list("aabbccdd")),
        Prediction(probability=probability, intensity=5 * probability if graded else None),
        aus=("AU1", "AU2"),
        occurrence=labels,
        intensity=np.where(graded, 4.0 * labels, NAN),
        observed=np.ones_like(labels, np.bool_),
        thresholds=np.array([0.5, 0.5]),
        least_subjects=least,
        resamples=resamples,
        seed=0,
    )


def table(columns: list[ColumnScores], *, subjects_known: bool = True) -> Table:
    return groups_table(columns, title="Test", least_subjects=2, subjects_known=subjects_known, protocol=PROTOCOL)


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_file_has_a_row_per_column_group_and_au_and_one_for_the_mean() -> None:
    frame = groups_frame(scored(resamples=20, glasses=GLASSES, hat=["x", "y"] * 4))
    assert frame[["column", "group", "au"]].to_numpy().tolist()[:6] == [
        ["glasses", "yes", "AU1"],
        ["glasses", "yes", "AU2"],
        ["glasses", "yes", "mean"],
        ["glasses", "no", "AU1"],
        ["glasses", "no", "AU2"],
        ["glasses", "no", "mean"],
    ]
    assert frame["subjects"].tolist()[:6] == [2] * 6
    assert frame["faces"].tolist()[:6] == [4] * 6
    assert frame["f1_val"].tolist()[:6] == pytest.approx([0.5, NAN, 0.5, 1.0, 1.0, 1.0], nan_ok=True)
    assert frame["base_rate"].tolist()[:6] == pytest.approx([0.5, 0.0, 0.25, 0.5, 0.25, 0.375])
    assert frame["base_rate_low"].tolist()[:3] == pytest.approx([0.5, 0.0, 0.25]), "everybody shows AU1 on one of two"
    assert list(frame.columns[5:11]) == [
        *("base_rate", "base_rate_low", "base_rate_high"),
        *("f1_val", "f1_val_low", "f1_val_high"),
    ]


def test_a_file_without_groups_has_its_columns() -> None:
    frame = groups_frame(scored(least=3, glasses=GLASSES))
    assert list(frame.columns) == ["column", "group", "subjects", "faces", "au"]
    assert not len(frame)


def test_the_table_has_a_row_per_group_and_the_largest_gap_with_its_groups() -> None:
    shown = text(table(scored(glasses=GLASSES)))
    rows = [line.split() for line in shown.splitlines()]
    # With glasses AU1 is half right, AU2 never occurs and has no F1: false alarms (1/2 + 0) / 2, rate errors
    # (0.45 - 0.5 + 0.1 - 0) / 2, calibration errors ((0.4 + 0.7 + 0.7 + 0.2) / 4 + 0.1) / 2.
    assert ["glasses", "yes", "2", "4", "0.250", "0.500", "0.250", "0.025", "0.300"] in rows
    # Without, rate errors (0 + 0.3 - 0.25) / 2 and calibration errors (0.15 + 0.1) / 2.
    assert ["no", "2", "4", "0.375", "1.000", "0.000", "0.025", "0.125"] in rows
    assert ["largest", "gap", "0.125", "0.500", "0.250", "0.000", "-"] in rows
    assert "no - yes" in shown
    assert "glasses: AUs with a score in every group, of 2: F1@val 1" in shown
    assert "split: by subject" in shown


def test_intervals_stand_beside_the_means() -> None:
    found = scored(resamples=50, glasses=GLASSES, graded=True)
    mean = found[0].groups[0].estimates["f1_val"].mean
    assert f"0.500 ({float(mean.low):.2f} to {float(mean.high):.2f})" in text(table(found))
    assert "ICC" in text(table(found))


def test_excluded_groups_are_named_and_counted() -> None:
    shown = text(table(scored(least=2, camera=["a", "a", "a", "a", "b", "b", "", "c"])))
    assert "camera: groups with fewer than 2 subjects are not reported: b (1), c (1)" in shown
    assert "camera: only one group, so there is nothing to compare it with" in shown
    assert "camera: 1 faces without a value are left out" in shown
    assert not [line for line in shown.splitlines() if line.split()[:2] == ["largest", "gap"]]


def test_a_long_list_of_small_groups_is_cut() -> None:
    (column,) = scored(glasses=GLASSES)
    small = {f"c{number}": 1 for number in range(10)}
    shown = text(table([dataclasses.replace(column, small=small)]))
    assert "c7 (1) and 2 more" in shown
    assert "c8" not in shown


def test_faces_without_subjects_are_told_from_subjects() -> None:
    shown = text(table(scored(glasses=GLASSES), subjects_known=False))
    assert "subjects?" in shown
    assert "each of them counts as a subject" in " ".join(shown.split())
    assert "subjects?" not in text(table(scored(glasses=GLASSES)))


def test_brackets_in_names_are_shown_as_they_are() -> None:
    assert "[red]" in text(table(scored(hat=["[red]"] * 4 + ["[/]"] * 4)))


def test_metrics_json_has_means_gaps_and_what_is_left_out() -> None:
    content = groups_content(scored(least=1, glasses=[*GLASSES[:7], ""]))["glasses"]
    assert content["groups"]["no"]["f1_val"] == pytest.approx({"value": 1.0, "low": NAN, "high": NAN}, nan_ok=True)
    assert content["groups"]["yes"]["subjects"] == 2
    assert content["gaps"]["f1_val"] | {"low": 0, "high": 0} == {
        **{"highest": "no", "lowest": "yes", "low": 0, "high": 0},
        "value": pytest.approx(0.5),
    }
    assert content["aus"]["f1_val"] == ["AU1"]
    assert content["without_entry"] == 1
    assert content["too_small"] == {}


def test_the_picture_has_a_dot_per_group_and_score_in_the_order_of_the_table() -> None:
    found = scored(resamples=30, glasses=GLASSES, hat=["x"] * 4 + ["y"] * 4)
    axes = draw_groups(found, "Groups", PROTOCOL).axes
    scores = list(found[0].groups[0].estimates)
    assert [each.get_title(loc="left") for each in axes[: len(scores)]] == [
        *("base rate", "F1@val", "false alarms", "rate error", "ECE"),
    ]
    f1 = axes[scores.index("f1_val")]
    (dots,) = f1.collections
    assert np.asarray(dots.get_offsets()).tolist() == pytest.approx(np.array([[0.5, 0], [1.0, 1]]))
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["yes (2)", "no (2)"]
    assert f1.lines[0].get_xdata()[0] == pytest.approx(float(found[0].groups[0].estimates["f1_val"].mean.low))
    assert len(axes) == 2 * len(scores)


def test_limits_hold_every_interval_and_the_ends_of_a_gap_are_red() -> None:
    found = scored(resamples=30, glasses=GLASSES)
    axes = draw_groups(found, "Groups", PROTOCOL).axes
    for each in axes:
        low, high = each.get_xlim()
        ends = [value for line in each.lines for value in line.get_xdata()]
        assert low <= min(ends)
        assert max(ends) <= high
    red = to_rgba(VERMILION)
    assert all(tuple(color) == red for color in axes[1].collections[0].get_facecolors())
