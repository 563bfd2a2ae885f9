"""Errors before and after calibration, as a table and a file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from faceflow.console import print_tables
from faceflow.report.calibration import CalibrationChange, calibration_frame, calibration_table
from faceflow.report.reliability import draw_calibration
from tests.helpers.results import make_results

TRUTH = np.array([[0, 0], [1, 0], [1, 0], [1, 0]], bool)
OBSERVED = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], bool)
BEFORE = np.array([[0.1, 0.5], [0.1, 0.5], [0.9, 0.5], [0.9, np.nan]])
AFTER = np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.5], [0.9, np.nan]])


def change() -> CalibrationChange:
    return CalibrationChange.measure(("AU1", "AU2"), BEFORE, AFTER, TRUTH, OBSERVED)


def test_errors_are_those_by_hand() -> None:
    frame = calibration_frame({"one": change()}).set_index("au")
    assert frame.columns.tolist() == ["dataset", "observed", "ece_before", "ece", "ece_floor", "brier_before", "brier"]
    assert frame.loc["AU1", "observed"] == 3
    assert frame.loc["AU1", "ece_before"] == pytest.approx((2 * 0.4 + 0.1) / 3)
    assert frame.loc["AU1", "brier_before"] == pytest.approx((0.01 + 0.81 + 0.01) / 3)
    assert (frame.loc["AU1", "ece"], frame.loc["AU1", "brier"]) == (pytest.approx(0), pytest.approx(0.5 / 3))
    assert frame.loc["AU1", "ece_floor"] == pytest.approx(0.5 / 3)  # two faces at 0.5: they differ by 1, 0, 0 or 1
    assert frame.loc["AU2"].isna().sum() == 5
    assert change().means["ece_before"] == pytest.approx(0.3)


def test_the_table_says_how_it_was_calibrated(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(calibration_table(change(), title="one", protocol="platt, fitted on 5 validation subjects"))
    text = capsys.readouterr().out
    assert "Calibration: one" in text
    assert "platt, fitted on 5 validation subjects" in text
    assert [line.split() for line in text.splitlines() if line.startswith(("AU1", "AU2", "mean"))] == [
        ["AU1", "3", "0.300", "0.000", "0.167", "0.277", "0.167"],
        ["AU2", "0", "-", "-", "-", "-", "-"],
        ["mean", "0.300", "0.000", "0.167", "0.277", "0.167"],
    ]


def test_the_diagram_shows_both() -> None:
    results = make_results(("AU1",), [[0.4], [0.6]], [[0], [1]])
    results = dataclasses.replace(results, uncalibrated=np.array([[0.1], [0.9]]))
    axes = draw_calibration(results, "t", {}).axes[0]
    assert axes.get_title("left") == "AU1  ECE 0.10 → 0.40"
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[0.1, 0], [0.9, 1]])
    np.testing.assert_allclose(axes.lines[2].get_xydata(), [[0.4, 0], [0.6, 1]])
