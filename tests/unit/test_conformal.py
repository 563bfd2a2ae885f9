"""Bands of unsure decisions: which decisions are unsure, and which file contents are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceflow.conformal import Conformal

NAN = float("nan")
BAND = Conformal(
    coverage=0.9,
    subjects=5,
    low={"AU1": 0.2, "AU4": 0.7},
    high={"AU1": 0.6, "AU4": 0.3},
    radius={"AU1": 0.75},
    notes={"AU2": "fewer than 3 validation subjects show it", "AU6": "fewer than 3 validation subjects show it"},
)


@pytest.mark.parametrize(
    ("au", "threshold", "unsure"),
    [
        ("AU1", 0.5, [0, 1, 1, 1, 0]),  # the band, its ends among it
        ("AU1", 0.1, [1, 1, 1, 1, 0]),  # active below the band: no sure decision
        ("AU1", 0.7, [0, 1, 1, 1, 1]),  # inactive above it
        ("AU4", 0.5, [0, 0, 0, 0, 0]),  # classes that hardly overlap: every decision is sure
        ("AU2", 0.5, [NAN] * 5),
    ],
)
def test_a_decision_that_the_band_does_not_confirm_is_unsure(au: str, threshold: float, unsure: list[float]) -> None:
    np.testing.assert_array_equal(BAND.unsure([0.1, 0.2, 0.4, 0.6, 0.65], threshold, au), unsure)


def test_an_interval_ends_where_intensities_do() -> None:
    low, high = BAND.interval([0.5, 2.0, 4.5], "AU1")
    np.testing.assert_array_equal(low, [0, 1.25, 3.75])
    np.testing.assert_array_equal(high, [1.25, 2.75, 5])
    assert np.isnan(BAND.interval([2.0], "AU4")).all()


def test_a_missing_probability_has_no_decision() -> None:
    assert np.isnan(BAND.unsure(NAN, 0.5, "AU1"))


def test_a_band_survives_a_file_and_says_what_it_promises() -> None:
    assert Conformal.from_dict(BAND.to_dict()) == BAND
    assert BAND.protocol == (
        "90 % of active and of inactive faces, on 5 validation subjects; "
        "no promise (fewer than 3 validation subjects show it): AU2, AU6"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"coverage": 1.0},
        {"coverage": "much"},
        {"low": {"AU1": 0.2}},
        {"low": {"AU1": NAN, "AU4": 0.7}},
        {"high": {"AU1": 1.5, "AU4": 0.3}},
        {"high": [0.5]},
        {"radius": {"AU1": -1}},
        {"subjects": None},
    ],
)
def test_an_invalid_band_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="conformal"):
        Conformal.from_dict({**BAND.to_dict(), **change})


def test_no_mapping_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="conformal"):
        Conformal.from_dict([1, 2])
