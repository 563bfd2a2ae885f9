"""`scripts/event_errors.py`: which events are matched, and how far apart they are."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "scripts/event_errors.py"))
COLUMNS = ["onset_frame", "apex_frame", "offset_frame", "end_frame"]


def table(*events: tuple[int, ...]) -> pd.DataFrame:
    return pd.DataFrame(events, columns=[*COLUMNS, "level"][: len(events[0])] if events else [*COLUMNS, "level"])


def test_sides_that_overlap_are_one_event_of_the_stronger_level() -> None:
    both = SCRIPT["joined"](table((10, 14, 16, 20, 2), (12, 18, 19, 25, 4), (26, 27, 28, 30, 1)))
    assert both.to_numpy().tolist() == [[10, 18, 19, 25, 4], [26, 27, 28, 30, 1]]


def test_events_meet_where_they_overlap_most() -> None:
    true = table((10, 14, 16, 20, 2), (40, 44, 46, 50, 3), (70, 71, 72, 75, 1), (90, 91, 92, 95, 5))
    found = table((12, 15, 15, 19), (19, 20, 21, 30), (71, 72, 73, 74), (96, 97, 98, 99))
    errors = SCRIPT["compare"](true, found)
    # Found: the first, and the weak third, which does not count. The events at 19 and at 96 belong to none.
    assert (errors.true, errors.missed, errors.spurious) == (3, 2, 2)
    assert errors.frames == [[2, 1, -1, -1]]
    assert errors.row() == ["3", "2", "2", "2.0", "1.0", "1.0", "1.0"]


@pytest.mark.parametrize(("true", "expected"), [(table(), (0, 0, 1)), (table((1, 2, 3, 4, 5)), (1, 1, 1))])
def test_without_events_there_are_no_errors(true: pd.DataFrame, expected: tuple[int, int, int]) -> None:
    errors = SCRIPT["compare"](true, table((50, 51, 52, 53)))
    assert (errors.true, errors.missed, errors.spurious) == expected
    assert errors.row()[3:] == ["-"] * 4
