"""The calibration map: values worked out by hand, unchanged decisions, and invalid files."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from faceflow.calibration import Calibration
from faceflow.centring import Centring, centred_by_subject
from faceflow.metrics.au_scores import Prediction

AUS = ("AU1", "AU12_L", "AU12_R")
MAPS = Calibration(
    method="platt",
    subjects=6,
    chosen=True,
    slope={"AU1": 0.5, "AU12_L": 2.0, "AU12_R": 2.0, "AU12": 2.0},
    offset={"AU1": 1.0, "AU12_L": 0.0, "AU12_R": 0.0, "AU12": 0.0},
)


def test_levels_by_hand() -> None:
    maps = dataclasses.replace(MAPS, levels={au: [[2.0, 0.0], [1.0, -1.0]] for au in (*AUS, "AU12")})
    found = maps.of_levels(np.full((1, 3, 2), np.log(3.0)), AUS)
    np.testing.assert_allclose(found, np.full((1, 3, 2), [9 / 10, 3 / (3 + np.e)]))
    np.testing.assert_allclose(MAPS.of_levels([[[0.0, np.log(3.0)]]], ["AU1"]), [[[0.5, 0.75]]])
    assert Calibration.from_dict(maps.to_dict(), aus=AUS) == maps


@pytest.mark.parametrize(
    "levels",
    [
        {"AU1": [[1.0, 0.0]]},
        {au: [[1.0]] for au in AUS},
        {au: [[0.0, 0.0]] for au in AUS},
        {au: [[1.0, float("nan")]] for au in AUS},
        dict.fromkeys(AUS, 3),
    ],
)
def test_levels_that_are_no_maps_are_refused(levels: Any) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_dict(MAPS.to_dict() | {"levels": levels}, aus=AUS)


def test_values_by_hand() -> None:
    # logit 0.8 = ln 4: sigmoid(2 ln 4) = 16/17; sigmoid(ln 4 / 2 + 1) = 2e / (2e + 1)
    found = MAPS.apply([[0.8, 0.8, 0.5]], AUS)
    np.testing.assert_allclose(found, [[2 * np.e / (2 * np.e + 1), 16 / 17, 0.5]])
    np.testing.assert_allclose(MAPS.undo(found, AUS), [[0.8, 0.8, 0.5]])
    assert np.isfinite(MAPS.apply([[0.0, 1.0, 1e-40]], AUS)).all()


def test_mapped_thresholds_decide_as_before_also_of_joined_sides() -> None:
    raw = np.random.default_rng(0).random((500, 3))
    after = MAPS.apply(raw, AUS)
    cuts = MAPS.thresholds({"AU1": 0.31, "AU12": 0.64, "AU12_L": 0.2})
    assert ((after[:, 0] >= cuts["AU1"]) == (raw[:, 0] >= 0.31)).all()
    assert ((after[:, 1:].max(axis=1) >= cuts["AU12"]) == (raw[:, 1:].max(axis=1) >= 0.64)).all()


def test_centring_and_calibration_commute() -> None:
    raw = np.random.default_rng(1).uniform(0.05, 0.95, (60, 3))
    who = np.repeat([0, 1, 2], 20)
    constants = dict(zip(AUS, (0.3, -1.0, 0.2), strict=True))
    plain = Centring(thresholds={"AU12": 0.4}, logit=constants, intensity={})
    mapped = MAPS.centring(plain)
    before = centred_by_subject(Prediction(probability=raw, intensity=None), who, plain.usual(AUS))
    after = centred_by_subject(Prediction(probability=MAPS.apply(raw, AUS), intensity=None), who, mapped.usual(AUS))
    np.testing.assert_allclose(after.probability, MAPS.apply(before.probability, AUS), atol=1e-12)
    assert mapped.thresholds == MAPS.thresholds({"AU12": 0.4})


def test_files_give_it_back_and_what_is_not_ours_is_refused() -> None:
    assert Calibration.from_dict(MAPS.to_dict(), aus=AUS) == MAPS
    broken: list[Any] = [
        7,
        {},
        MAPS.to_dict() | {"slope": {"AU1": 1.0}},
        MAPS.to_dict() | {"slope": dict(MAPS.slope) | {"AU1": 0.0}},
        MAPS.to_dict() | {"offset": dict(MAPS.offset) | {"AU1": float("nan")}},
    ]
    for raw in broken:
        with pytest.raises(ValueError, match="calibration of probabilities"):
            Calibration.from_dict(raw, aus=AUS)


def test_protocol_says_on_whom_and_what_stays() -> None:
    few = Calibration(
        method="temperature", subjects=2, chosen=False, slope={}, offset={}, notes={"AU1": "why", "AU2": "why"}
    )
    assert few.protocol == (
        "temperature, fitted on 2 validation subjects, too few to confirm it on held-out ones; "
        "left as they are (why): AU1, AU2"
    )
