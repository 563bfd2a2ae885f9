"""Names and cells of columns, in our format and those of other tools."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from faceflow.conformal import Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.errors import ConfigError
from faceflow.inference.columns import Table
from faceflow.inference.contract import ModelContract
from faceflow.inference.pipeline import FramePrediction
from tests.helpers.exported import contract, intensity_contract
from tests.helpers.predictions import BROKEN, NOBODY, estimates, face, frame

PLACE = ["file", "frame", "time_s", "face", "status", "det_score", "x1", "y1", "x2", "y2"]
FOUND = frame(62, face((0.25, 0.5, 0.5), (1.5, 0, 5)), time_s=61.5)


def row(says: ModelContract, found: FramePrediction, alias: str = "none") -> dict[str, Any]:
    table = Table(says, alias=alias, suffixes=[""])
    (cells,) = table.cells(found)
    return dict(zip([column.name for column in table.columns], cells, strict=True))


def test_our_columns_say_place_probability_intensity_and_decision() -> None:
    cells = row(intensity_contract(), FOUND)
    assert [cells[name] for name in PLACE] == ["a.mp4", 62, 61.5, 0, "ok", 0.75, 10, 20, 40, 60]
    # Thresholds are 0.25 of AU1, 0.75 of AU4 and, as none was tuned, 0.5 of AU12_L; reaching one is enough.
    scored = {"AU01_prob": 0.25, "AU01_int": 1.5, "AU01": 1, "AU04_prob": 0.5, "AU04_int": 0, "AU04": 0}
    scored |= {"AU12_L_prob": 0.5, "AU12_L_int": 5, "AU12_L": 1}
    assert {name: cell for name, cell in cells.items() if name.startswith("AU")} == scored
    known = [*PLACE, *scored]  # a column that is new stands between them
    assert [name for name in cells if name in known] == known


def test_a_model_of_occurrence_has_no_column_of_intensity() -> None:
    cells = row(contract(), FOUND)
    assert [name for name in cells if name.startswith("AU")] == [
        *("AU01_prob", "AU01", "AU04_prob", "AU04", "AU12_L_prob", "AU12_L")
    ]


BAND = Conformal(coverage=0.9, subjects=5, low={"AU1": 0.2, "AU4": 0.6}, high={"AU1": 0.3, "AU4": 0.7})


def test_a_band_adds_whether_a_decision_is_unsure() -> None:
    cells = row(contract(conformal=BAND), FOUND)
    # AU1 is active from 0.25 on and sure above 0.3; AU4 is inactive below 0.75 and sure below 0.6; AU12_L has no band.
    assert {name: cells[name] for name in ("AU01", "AU01_unsure")} == {"AU01": 1, "AU01_unsure": 1}
    assert {name: cells[name] for name in ("AU04", "AU04_unsure")} == {"AU04": 0, "AU04_unsure": 0}
    assert cells["AU12_L_unsure"] is None
    assert not [name for name in cells if name.endswith(("_low", "_high"))]


def test_an_interval_stands_beside_the_intensity() -> None:
    graded = dataclasses.replace(BAND, radius={"AU1": 2.0, "AU4": 0.5})
    cells = row(intensity_contract(conformal=graded), FOUND)
    assert [cells[name] for name in ("AU01_int_low", "AU01_int", "AU01_int_high")] == [0, 1.5, 3.5]
    assert [cells[name] for name in ("AU04_int_low", "AU04_int_high")] == [0, 0.5]
    assert cells["AU12_L_int_low"] is None


def test_no_promise_is_made_for_derived_scores() -> None:
    table = Table(contract(conformal=BAND), alias="none", suffixes=["", "_smooth"])
    names = [column.name for column in table.columns if "unsure" in column.name]
    assert names == ["AU01_unsure", "AU04_unsure", "AU12_L_unsure"]
    assert [row(contract(conformal=BAND), frame(1, NOBODY))[name] for name in names] == [None] * 3


@pytest.mark.parametrize("alias", ["openface", "pyfeat"])
def test_names_of_other_tools_leave_the_band_alone(alias: str) -> None:
    assert row(contract(conformal=BAND), FOUND, alias)["AU01_unsure"] == 1


@pytest.mark.parametrize(
    ("nothing", "status"), [(NOBODY, "no_face"), (BROKEN, "decode_error"), (face(None, status="low_confidence"), None)]
)
def test_aus_of_unscored_rows_are_empty(nothing: Any, status: str | None) -> None:
    cells = row(contract(), frame(3, nothing))
    assert cells["frame"] == 3
    assert cells["time_s"] is None
    assert cells["status"] == (status or "low_confidence")
    assert (cells["x1"] is None) == (status is not None)
    assert all(cells[name] is None for name in cells if name.startswith("AU"))


@pytest.mark.parametrize("alias", ["none", "openface", "pyfeat"])
def test_faces_unlike_those_of_training_are_named(alias: str) -> None:
    quantiles = {"sharpness": (80.0, 100.0, 200.0, 400.0, 500.0), "yaw": (-12.0, -10.0, 0.0, 10.0, 12.0)}
    says = contract(crop_statistics=CropStatistics(faces=900, subjects=40, quantiles=quantiles))

    def cell(**statistics: float) -> Any:
        return row(says, frame(1, dataclasses.replace(face((0, 0, 0)), statistics=statistics)), alias)["outside"]

    assert cell(sharpness=200.0, yaw=-16.9) is None  # -10 - .35 * 20 = -17
    assert cell(sharpness=200.0, yaw=-17.1) == "yaw"
    assert cell(sharpness=5.0, yaw=80.0) == "sharpness yaw"
    assert cell(sharpness=5.0) == "sharpness"
    assert row(says, frame(1, NOBODY), alias)["outside"] is None
    assert "outside" not in row(contract(), frame(1, NOBODY), alias)


def test_an_unknown_score_is_an_empty_cell() -> None:
    assert row(contract(), frame(1, face((0, 0, 0), score=float("nan"))))["det_score"] is None


@pytest.mark.parametrize(("alias", "first"), [("none", 1), ("openface", 1), ("pyfeat", 0)])
def test_columns_say_what_they_mean_and_from_where_frames_count(alias: str, first: int) -> None:
    meanings = {column.name: column.meaning for column in Table(contract(), alias=alias, suffixes=[""]).columns}
    assert meanings["frame"].startswith(f"number of the decoded frame, from {first}")
    assert row(contract(), frame(1), alias)["frame"] == first
    assert meanings["status"].startswith("ok; tracked: ")


def test_faces_of_a_frame_are_rows() -> None:
    table = Table(contract(), alias="none", suffixes=[""])
    names = [column.name for column in table.columns]
    both = list(table.cells(frame(1, face((0, 0, 0)), face((1, 1, 1), number=4))))
    assert [cells[names.index("face")] for cells in both] == [0, 4]
    assert [cells[names.index("AU01_prob")] for cells in both] == [0, 1]


def test_derived_estimates_have_columns_of_their_own() -> None:
    table = Table(contract(), alias="none", suffixes=["", "_cal", "_smooth", "_cal_smooth"])
    names = [column.name for column in table.columns]
    first = names.index("AU01_prob")
    assert names[first : first + 6] == ["AU01_prob", "AU01", "AU04_prob", "AU04", "AU12_L_prob", "AU12_L"]
    assert names[first + 6 : first + 9] == ["AU01_prob_cal", "AU01_cal", "AU04_prob_cal"]
    assert names[-1] == "AU12_L_cal_smooth"
    found = face((0.5, 0.5, 0.5)).with_estimates("_cal", estimates((0.1, 0.1, 0.1)))
    (cells,) = table.cells(frame(1, found))
    assert cells[first : first + 2] == [0.5, 1]
    assert cells[first + 6 : first + 8] == [pytest.approx(0.1), 0]
    assert set(cells[first + 12 :]) == {None}


def test_names_of_openface() -> None:
    cells = row(intensity_contract(), FOUND, "openface")
    theirs = {"frame": 62, "face_id": 0, "timestamp": 61.5, "confidence": 0.75, "success": 1}
    assert list(cells.items())[:5] == list(theirs.items())
    assert (cells["AU01_r"], cells["AU01_c"], cells["AU01_prob"]) == (1.5, 1, 0.25)
    assert cells["file"] == "a.mp4"
    assert not {"AU01", "AU01_int"} & cells.keys()
    assert row(contract(), frame(1), "openface")["success"] == 0


def test_names_of_pyfeat() -> None:
    cells = row(contract(), FOUND, "pyfeat")
    theirs = {"FaceRectX": 10, "FaceRectY": 20, "FaceRectWidth": 30, "FaceRectHeight": 40, "FaceScore": 0.75}
    assert list(cells.items())[:5] == list(theirs.items())
    assert (cells["input"], cells["frame"], cells["approx_time"], cells["Identity"]) == (
        "a.mp4",
        61,
        "01:01",
        "Subject_0",
    )
    assert (cells["AU01"], cells["AU01_occ"], cells["AU04"], cells["AU04_occ"]) == (0.25, 1, 0.5, 0)
    empty = row(contract(), frame(1), "pyfeat")
    assert {empty[name] for name in ("FaceRectWidth", "FaceScore", "approx_time", "Identity", "AU01")} == {None}


@pytest.mark.parametrize("alias", ["none", "openface", "pyfeat"])
@pytest.mark.parametrize("says", [contract(), intensity_contract()])
def test_no_name_comes_twice(alias: str, says: ModelContract) -> None:
    names = [column.name for column in Table(says, alias=alias, suffixes=["", "_cal"]).columns]
    assert len(set(names)) == len(names)


def test_an_unknown_alias_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="alias: expected none, openface, pyfeat, got 'pyfaet'; did you mean 'pyfeat'"
    ):
        Table(contract(), alias="pyfaet", suffixes=[""])
