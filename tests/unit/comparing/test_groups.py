"""Differences in each group of faces equal those of a comparison on its faces alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faceflow.comparing.compare import CompareResult, compare
from faceflow.errors import FaceFlowError
from tests.helpers.compared import AUS, predictions, write_run

SETTINGS: dict[str, Any] = {
    "metrics": ["f1_val", "ap", "icc"],
    "level": 0.05,
    "shared_aus": False,
    "any_protocol": False,
    "threshold": 0.5,
    "audit": ["sex"],
    "audit_least_subjects": 2,
    "bootstrap": {"resamples": 200, "seed": 0},
    "pictures": False,
    "overwrite": False,
}
SUBJECTS = [f"faces/s{number}" for number in range(8)]
SEX = dict(zip(SUBJECTS, ["f", "f", "f", "m", "m", "m", "m", "d"], strict=True))


def compared(folder: Path, *runs: Path, **settings: Any) -> CompareResult:
    return compare(SETTINGS | {"runs": [str(run) for run in runs], "output": str(folder / "out")} | settings)


def system(seed: int, **columns: Any) -> pd.DataFrame:
    frame = predictions(seed, intensity=True)
    return frame.assign(sex=frame["subject"].map(SEX), age=range(len(frame)), **columns)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """The second system is not better in general, but always right for women."""
    second = system(2).drop(columns="sex")
    women = second["subject"].map(SEX) == "f"
    for au in AUS:
        second.loc[women, f"{au}_prob"] = second.loc[women, f"{au}_occurs"].astype(float)
    return write_run(tmp_path / "first", system(1)), write_run(tmp_path / "second", second)


def test_each_group_is_compared_on_its_faces_alone(runs: tuple[Path, Path], tmp_path: Path) -> None:
    found = compared(tmp_path, *runs)
    rows = found.groups
    assert rows is not None
    assert rows["group"].unique().tolist() == ["m", "f"], "the smallest difference first"
    for group in ("m", "f"):
        alone = []
        for run in runs:
            frame = pd.read_csv(run / "predictions.csv")
            own = frame[frame["subject"].map(SEX) == group]
            alone.append(write_run(tmp_path / group / run.name, own))
        expected = compared(tmp_path / group, *alone, audit=None, metrics=["f1_val", "icc"]).comparison.rows
        part = rows[rows["group"] == group].reset_index(drop=True)
        assert part["subjects"].unique().tolist() == [3 if group == "f" else 4]
        assert part["faces"].unique().tolist() == [36 if group == "f" else 48]
        for column in ("metric", "au", "score_reference", "score", "difference", "low", "high", "base_rate"):
            np.testing.assert_array_equal(part[column], expected[column])
    women = rows[(rows["group"] == "f") & (rows["metric"] == "f1_val") & (rows["au"] == "mean")].iloc[0]
    assert women["score"] == 1.0
    assert women["low"] > 0


def test_files_tables_and_notes_say_what_is_there(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(tmp_path, *runs)
    written = pd.read_csv(tmp_path / "out/comparison_groups.csv")
    assert found.groups is not None
    assert written["difference"].tolist() == pytest.approx(found.groups["difference"].tolist())
    assert "p_holm" not in written, "not corrected for groups"
    shown = capsys.readouterr().out
    assert "F1@val by group: second against first" in shown
    assert "sex: groups with fewer than 2 subjects are not reported: d (1)." in shown
    assert "AP: not compared by group, as ranking each group would take too long." in shown
    assert "comparison_groups.csv" in shown
    assert "sex: groups with fewer than 2 subjects are not reported: d (1)" in (
        tmp_path / "out/comparison.md"
    ).read_text("utf-8")
    compared(tmp_path, *runs, audit=None, overwrite=True)
    assert not (tmp_path / "out/comparison_groups.csv").exists()


def test_columns_that_differ_most_come_first(runs: tuple[Path, Path], tmp_path: Path) -> None:
    frame = system(1)
    alike = frame.assign(camera=np.where(np.arange(len(frame)) % 2, 0, 1))
    first = write_run(tmp_path / "with_camera", alike)
    rows = compared(tmp_path, first, runs[1], audit=["camera", "sex"]).groups
    assert rows is not None
    assert rows["column"].unique().tolist() == ["sex", "camera"]
    assert set(rows[rows["column"] == "camera"]["group"]) == {"0", "1"}, "texts, though they look like numbers"


def test_a_csv_can_hold_groups_and_empty_cells_are_left_out(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = system(1)
    frame.loc[frame["sex"] == "f", "sex"] = ""
    frame.to_csv(tmp_path / "ours.csv", index=False)
    rows = compared(tmp_path, tmp_path / "ours.csv", runs[1]).groups
    assert rows is not None
    assert rows["group"].unique().tolist() == ["m"]
    assert "sex: 36 faces without a value are left out." in capsys.readouterr().out


def test_the_name_of_the_data_set_is_a_group_too(runs: tuple[Path, Path], tmp_path: Path) -> None:
    rows = compared(tmp_path, *runs, audit="dataset").groups
    assert rows is not None
    assert rows["group"].unique().tolist() == ["faces"]


def test_without_a_group_of_enough_subjects_there_is_an_empty_file(runs: tuple[Path, Path], tmp_path: Path) -> None:
    found = compared(tmp_path, *runs, audit_least_subjects=5)
    assert found.groups is not None
    assert not len(found.groups)
    assert list(pd.read_csv(tmp_path / "out/comparison_groups.csv").columns[:2]) == ["column", "group"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"audit": ["skin"]}, "audit: expected columns of the predictions of '/first', got 'skin', which they do not"),
        ({"audit": ["sx"]}, "did you mean 'sex'?"),
        (
            {"audit": ["AU1_prob"]},
            "audit: expected columns of groups such as sex, got 'AU1_prob', which is the label of",
        ),
        ({"audit": ["AU12x"]}, "got 'AU12x', which they do not have; test that run with audit=[AU12x], or name a CSV"),
        (
            {"audit": ["age"]},
            "audit: expected at most 20 groups in a column, got 96 values in 'age', such as '0' and '1'",
        ),
        ({"audit": []}, "audit: expected columns of the labels such as [sex,glasses], got []; name them"),
        (
            {"audit": ["subject"]},
            "audit: expected columns of groups such as sex, got 'subject', which makes a group of each",
        ),
        ({"audit_least_subjects": 0}, "audit_least_subjects: expected a whole number >= 1, got 0"),
    ],
)
def test_incomparable_groups_are_refused_in_one_line(
    runs: tuple[Path, Path], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(FaceFlowError) as caught:
        compared(tmp_path, *runs, **settings)
    assert message in str(caught.value).replace(str(tmp_path), "")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
