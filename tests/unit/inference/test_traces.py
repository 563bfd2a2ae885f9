"""Data kept from frames for a timeline, and counts of frames."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from faceflow.inference.activity import Tally
from faceflow.inference.traces import Traces
from faceflow.report.timeline import Timeline
from tests.helpers.exported import contract, intensity_contract
from tests.helpers.predictions import BROKEN, NOBODY, estimates, face, frame

FRAMES = [
    frame(1, face((0.25, 0.2, 0.5)), time_s=0.0),
    frame(2, NOBODY, time_s=0.1),
    frame(3, BROKEN),
    frame(4, face((1, 0.75, 0.4)), face((0, 0, 0), number=5), time_s=0.3),
]


def collect() -> Timeline:
    traces = Traces(contract(), "a.mp4")
    for item in FRAMES:
        traces.add(item)
    return traces.timeline()


def test_every_face_has_a_row_per_frame_from_its_first_to_its_last() -> None:
    found = collect()
    nothing = [np.nan] * 3
    expected = {0: [[0.25, 0.2, 0.5], nothing, nothing, [1, 0.75, 0.4]], 5: [[0, 0, 0]]}
    assert {face: trace.values.tolist() for face, trace in found.traces.items()} == {
        face: [pytest.approx(row, nan_ok=True) for row in rows] for face, rows in expected.items()
    }
    assert [trace.start for trace in found.traces.values()] == [0, 3]
    # Thresholds: 0.25, 0.75, 0.5.
    assert found.traces[0].active.tolist() == [[True, False, True], [False] * 3, [False] * 3, [True, True, False]]
    assert not found.traces[5].active.any()
    assert found.thresholds == {"AU1": 0.25, "AU4": 0.75, "AU12_L": 0.5}


def test_a_timeline_shows_the_estimates_that_were_asked_for() -> None:
    traces = Traces(contract(), "a.mp4", suffix="_cal")
    traces.add(frame(1, face((1, 1, 1)).with_estimates("_cal", estimates((0.5, 0, 0))), time_s=0.0))
    assert traces.timeline().traces[0].values.tolist() == [[0.5, 0, 0]]
    assert traces.timeline().title == "a.mp4, AU.._cal"


def test_a_frame_without_a_time_lies_between_its_neighbours() -> None:
    assert collect().time == pytest.approx([0, 0.1, 0.2, 0.3])
    assert collect().unit == "s"


def test_intensities_are_drawn_where_the_model_has_them() -> None:
    traces = Traces(intensity_contract(), "a")
    traces.add(frame(3, face((0.2, 0.9, 0.9), (1, 2, 3))))
    found = traces.timeline()
    assert found.traces[0].values.tolist() == [[1, 2, 3]]
    assert found.traces[0].active.tolist() == [[False, True, True]]
    assert (found.unit, found.time.tolist(), found.top) == ("frame", [3], 5)


def test_the_tally_counts_frames_statuses_and_aus() -> None:
    tally = Tally(contract())
    for item in FRAMES:
        tally.add(item)
    assert (tally.frames, tally.scored) == (4, 3)
    assert tally.line().startswith("4 frames: 3 ok, 1 no_face, 1 decode_error; ")
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as capture:
        console.print(tally.table())
    rows = [line.split() for line in capture.get().splitlines() if re.match(r"AU\d", line)]
    assert rows == [
        ["AU1", "inner", "brow", "raiser", "66.7", "%", "0.42", "1.00"],
        ["AU4", "brow", "lowerer", "33.3", "%", "0.32", "0.75"],
        ["AU12_L", "lip", "corner", "puller,", "left", "33.3", "%", "0.30", "0.50"],
    ]


def test_the_tally_shows_the_estimates_that_were_asked_for() -> None:
    tally = Tally(contract(), suffix="_cal")
    tally.add(frame(1, face((1, 1, 1)), time_s=0.0))  # before the face at rest is known
    assert (tally.scored, tally.counted) == (1, 0)
    tally.add(frame(2, face((1, 1, 1)).with_estimates("_cal", estimates((0.5, 0, 0))), time_s=0.1))
    assert (tally.scored, tally.counted) == (2, 1)
    table = tally.table()
    assert str(table.title) == "AUs of 1 face, AU.._cal"
    assert [list(column.cells) for column in table.columns[2:]] == [
        ["100.0 %", "0.0 %", "0.0 %"],
        ["0.50", "0.00", "0.00"],
        ["0.50", "0.00", "0.00"],
    ]


def test_sides_of_an_au_that_is_given_joined_are_not_shown() -> None:
    sided = contract(aus=("AU12_L", "AU12", "AU1_R"), thresholds={"AU12_L": 0.0, "AU12": 0.5, "AU1_R": 0.9})
    traces, tally = Traces(sided, "a.mp4"), Tally(sided)
    for collected in (traces, tally):
        collected.add(frame(1, face((0.1, 0.75, 0.5)), time_s=0.0))
    found = traces.timeline()
    assert found.aus == ("AU12", "AU1_R")
    assert found.traces[0].values.tolist() == [[0.75, 0.5]]
    assert found.traces[0].active.tolist() == [[True, False]]
    assert found.thresholds == {"AU12": 0.5, "AU1_R": 0.9}
    assert list(tally.table().columns[0].cells) == ["AU12", "AU1_R"]


def test_one_frame_is_not_frames() -> None:
    tally = Tally(contract())
    tally.add(FRAMES[0])
    assert tally.seen() == "1 frame: 1 ok"
