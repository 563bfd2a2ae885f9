"""Events of all faces and AUs of a video, from its frames."""

from __future__ import annotations

from typing import Any

import pytest

from faceflow.inference.event_table import EVENT_FIELDS, EventFinder, FaceEvent
from faceflow.inference.events import EventRule
from faceflow.inference.pipeline import FacePrediction
from tests.helpers.exported import contract, intensity_contract
from tests.helpers.predictions import BROKEN, NOBODY, estimates, face, frame

RULE = EventRule(release=0.5, bridge_s=0.2, shortest_s=0.1, rise_s=1.0, noise=8.0)
REST, SMILE = (0.0, 0.0, 0.0), (0.0, 0.0, 0.9)


def found_in(*shown: FacePrediction, timed: bool = True, every: int = 1, says: Any = None) -> list[FaceEvent]:
    finder = EventFinder(says or contract(), suffix="", rule=RULE)
    for place, one in enumerate(shown):
        number = 1 + every * place
        finder.add(frame(number, one, time_s=(number - 1) / 10 if timed else None))
    return finder.end_video()


def frames(events: list[FaceEvent]) -> list[tuple[str, int, int]]:
    return [(event.au, event.frames[0], event.frames[-1]) for event in events]


def test_an_event_is_a_row() -> None:
    (event,) = found_in(face(REST), face((0.0, 0.0, 0.4)), face(SMILE), face((0.0, 0.0, 0.8)), face(REST))
    cells = dict(zip([field.name for field in EVENT_FIELDS], event.cells(), strict=True))
    assert cells == {
        **{"file": "a.mp4", "face": 0, "au": "AU12_L"},
        **{"onset_frame": 2, "apex_frame": 3, "offset_frame": 3, "end_frame": 4},
        **{"onset_s": 0.1, "apex_s": 0.2, "offset_s": 0.2, "end_s": 0.3, "duration_s": 0.3},
        **{"peak": 0.9, "mean": 0.7, "complete": 1},
    }
    mark = event.mark()
    assert (mark.face, mark.au, mark.start, mark.apex, mark.end) == (0, "AU12_L", 0.1, 0.2, pytest.approx(0.3))


def test_every_au_has_its_own_threshold() -> None:
    # Thresholds are 0.25, 0.75 and 0.5.
    events = found_in(face(REST), face((0.3, 0.7, 0.6)), face(REST))
    assert frames(events) == [("AU1", 2, 2), ("AU12_L", 2, 2)]


def test_intensities_are_peaks_and_means_where_the_model_has_them() -> None:
    (event,) = found_in(
        face(REST, REST),
        face(SMILE, (0, 0, 2.0)),
        face(SMILE, (0, 0, 4.0)),
        face(REST, REST),
        says=intensity_contract(),
    )
    assert (event.event.peak, event.event.mean) == (4.0, 3.0)


def test_another_face_has_events_of_its_own() -> None:
    finder = EventFinder(contract(), suffix="", rule=RULE)
    for number in range(1, 7):  # a cut after the third frame: the face in the same place has another number
        finder.add(frame(number, face(SMILE, number=0 if number <= 3 else 7), time_s=number / 10))
    assert [(event.face, *event.frames[::3]) for event in finder.end_video()] == [(0, 1, 3), (7, 4, 6)]


@pytest.mark.parametrize(
    "missing", [NOBODY, BROKEN, face(SMILE, status="tracked"), face(None, status="low_confidence")]
)
def test_no_event_crosses_a_face_that_is_lost(missing: FacePrediction) -> None:
    smile = face(SMILE)
    assert frames(found_in(smile, smile, missing, missing, smile)) == [("AU12_L", 1, 5)]
    lost = found_in(smile, smile, missing, missing, missing, smile)
    assert frames(lost) == [("AU12_L", 1, 2), ("AU12_L", 6, 6)]
    assert not any(event.event.complete for event in lost)


def test_without_times_frames_are_those_of_25_per_second() -> None:
    smile = face(SMILE)  # bridged over 0.2 s: five frames, not six
    (event,) = found_in(smile, *[NOBODY] * 5, smile, timed=False)
    assert event.cells()[3:12] == [1, 1, 7, 7, None, None, None, None, None]
    assert (event.mark().start, event.mark().end) == (1, 7)
    assert found_in(smile, *[NOBODY] * 6, smile, timed=False) == []  # two of a frame each, shorter than 0.1 s


def test_frames_that_are_skipped_are_not_missed() -> None:
    smile = face(SMILE)  # every fifth frame: half a second apart
    (event,) = found_in(face(REST), smile, smile, face(REST), every=5)
    assert (event.frames, event.duration) == ((6, 6, 11, 11), pytest.approx(1.0))


def test_events_are_those_of_the_estimates_that_were_asked_for() -> None:
    finder = EventFinder(contract(), suffix="_cal", rule=RULE)
    for number in range(1, 4):
        finder.add(frame(number, face(SMILE).with_estimates("_cal", estimates((0.9, 0.0, 0.0))), time_s=number / 10))
    assert frames(finder.end_video()) == [("AU1", 1, 3)]


def test_the_next_video_begins_afresh() -> None:
    finder = EventFinder(contract(), suffix="", rule=RULE)
    for file in ("a.mp4", "b.mp4"):
        finder.add(frame(1, face(SMILE), time_s=0.0, file=file))
        finder.add(frame(2, face(SMILE), time_s=0.1, file=file))
        (event,) = finder.end_video()
        assert (event.file, event.frames) == (file, (1, 1, 2, 2))
    assert finder.end_video() == []
