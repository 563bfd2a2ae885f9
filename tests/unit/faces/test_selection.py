from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.faces.detector import Detection
from faceflow.faces.selection import NO_FRAME, Face, Selector, choose_faces
from faceflow.faces.video import Frame

WIDTH, HEIGHT = 640, 480


def seen(x: float, y: float = 100, side: float = 100, score: float = 0.9) -> Detection:
    """A square face with its top left corner at (x, y)."""
    box = np.array([x, y, x + side, y + side], np.float64)
    return Detection(box=box, points=np.full((5, 2), x, np.float64), score=score)


def chosen(selector: Selector, *detections: Detection) -> list[Face]:
    return selector.choose(detections, width=WIDTH, height=HEIGHT)


def only(selector: Selector, *detections: Detection) -> tuple[int | None, str, float]:
    """Number, status and left edge of the one face chosen; -1 without a place."""
    (face,) = chosen(selector, *detections)
    return face.number, face.status, float(face.detection.box[0]) if face.detection else -1


def selector(policy: str, *, hold: int = 2, min_score: float = 0.5) -> Selector:
    return Selector(policy=policy, hold=hold, min_score=min_score)


@pytest.mark.parametrize("policy", ["largest", "center", "track", "all"])
def test_frame_without_a_face_has_one_row(policy: str) -> None:
    assert only(selector(policy)) == (None, "no_face", -1)


def test_largest_and_center_choose_by_size_and_place() -> None:
    small_in_the_middle, large_aside = seen(280, 200, side=80), seen(0, 0, side=150)
    assert only(selector("largest"), small_in_the_middle, large_aside)[2] == 0
    assert only(selector("center"), large_aside, small_in_the_middle)[2] == 280


def test_face_without_a_score_counts_as_certain() -> None:
    assert only(selector("largest"), seen(5, score=math.nan)) == (0, "ok", 5)


@pytest.mark.parametrize("policy", ["largest", "center", "track"])
def test_uncertain_face_is_chosen_only_where_there_is_no_other(policy: str) -> None:
    uncertain, certain = seen(250, 150, side=150, score=0.4), seen(20, side=50)
    assert only(selector(policy), uncertain, certain)[1:] == ("ok", 20)
    assert only(selector(policy), uncertain)[1:] == ("low_confidence", 250)


def test_track_stays_with_the_subject_though_another_becomes_larger() -> None:
    following = selector("track")
    assert only(following, seen(100), seen(400, side=60)) == (0, "ok", 100)
    assert only(following, seen(400, side=180), seen(110)) == (0, "ok", 110)
    assert only(selector("largest"), seen(400, side=180), seen(110))[2] == 400


def test_track_holds_the_last_place_for_so_many_frames_then_takes_the_largest() -> None:
    following = selector("track", hold=2)
    assert only(following, seen(100), seen(400, side=60)) == (0, "ok", 100)
    for _ in range(2):
        assert only(following, seen(400, side=60)) == (0, "tracked", 100)
    assert only(following, seen(400, side=60)) == (1, "ok", 400)
    assert only(following, seen(400, side=60), seen(100)) == (1, "ok", 400)


def test_face_found_again_while_it_is_held_is_the_same_one_and_can_be_missed_again() -> None:
    following = selector("track", hold=1)
    for detections in ([seen(100)], [], [seen(120)], [], [seen(140)]):
        number, status, _ = only(following, *detections)
        assert (number, status) == (0, "ok" if detections else "tracked")


def test_held_face_has_no_score() -> None:
    following = selector("track")
    chosen(following, seen(100, score=0.8))
    (held,) = chosen(following)
    assert held.detection is not None
    assert math.isnan(held.detection.score)


def test_after_the_hold_there_is_no_face_and_one_that_comes_later_is_another() -> None:
    following = selector("track", hold=1)
    results = [only(following, *detections)[:2] for detections in ([seen(100)], [], [], [seen(100)])]
    assert results == [(0, "ok"), (0, "tracked"), (None, "no_face"), (1, "ok")]


def test_hold_zero_holds_nothing_and_still_follows() -> None:
    following = selector("track", hold=0)
    results = [only(following, *detections)[:2] for detections in ([seen(100)], [seen(110)], [], [seen(110)])]
    assert results == [(0, "ok"), (0, "ok"), (None, "no_face"), (1, "ok")]


def test_track_does_not_start_with_an_uncertain_face_but_stays_with_one_that_became_so() -> None:
    following = selector("track")
    assert only(following, seen(300, side=200, score=0.3))[1] == "low_confidence"
    assert only(following, seen(300, side=200, score=0.3), seen(50))[1:] == ("ok", 50)
    assert only(following, seen(300, side=200), seen(55, score=0.3))[1:] == ("low_confidence", 55)


def test_numbers_stay_with_moving_faces_whatever_their_order() -> None:
    everyone = selector("all")
    rng = np.random.default_rng(0)
    for frame in range(20):
        faces = [seen(10 + 5 * frame), seen(300 - 4 * frame), seen(500, 300, side=120)]
        order = rng.permutation(3) if frame else [0, 1, 2]  # numbers are given in the order of the first frame
        found = chosen(everyone, *[faces[i] for i in order])
        assert [face.number for face in found] == [0, 1, 2]
        assert [face.detection for face in found] == faces


def test_new_face_gets_a_new_number_and_one_that_left_never_gives_its_own() -> None:
    everyone = selector("all", hold=1)
    numbers = [
        [face.number for face in chosen(everyone, *detections)]
        for detections in (
            [seen(0), seen(200)],
            [seen(200)],
            [seen(0), seen(200), seen(400)],  # back within the hold
            [seen(200)],
            [seen(200)],
            [seen(0), seen(200)],  # back too late
        )
    ]
    assert numbers == [[0, 1], [1], [0, 1, 2], [1], [1], [1, 3]]


def test_every_face_is_listed_with_its_own_status() -> None:
    found = chosen(selector("all"), seen(0), seen(300, score=0.1))
    assert [(face.number, face.status) for face in found] == [(0, "ok"), (1, "low_confidence")]


def test_two_faces_never_share_a_number_though_both_overlap_one_of_before() -> None:
    everyone = selector("all")
    chosen(everyone, seen(100))
    found = chosen(everyone, seen(140), seen(110))
    assert {face.number: face.detection.box[0] for face in found if face.detection} == {0: 110, 1: 140}


def test_no_face_is_tracked_into_another_shot_even_at_the_same_position() -> None:
    following = selector("track", hold=5)
    assert only(following, seen(100), seen(300, side=60)) == (0, "ok", 100)
    following.begin_shot()
    assert only(following, seen(105), seen(300, side=160)) == (3, "ok", 300)
    following.begin_shot()
    assert only(following) == (None, "no_face", -1)


@pytest.mark.parametrize("policy", ["largest", "center", "all"])
def test_faces_of_another_shot_have_new_numbers(policy: str) -> None:
    everyone = selector(policy)
    assert only(everyone, seen(100))[0] == 0
    everyone.begin_shot()
    assert only(everyone, seen(100))[0] == 1


def test_faces_that_pass_each_other_keep_their_numbers() -> None:
    everyone = selector("all")
    for frame in range(20):
        near, far = seen(100 + 20 * frame, 80, side=140), seen(480 - 20 * frame, 100)
        found = chosen(everyone, *([near, far] if frame % 2 else [far, near]))
        places = {face.number: face.detection for face in found}
        assert places == ({1: near, 0: far})


def test_numbers_stay_with_places_where_two_faces_swap_from_one_frame_to_the_next() -> None:
    # Boxes do not tell people apart: those who swap behind each other's backs are the same numbers.
    everyone = selector("all")
    for places in ((100, 400), (400, 100), (100, 400)):
        found = chosen(everyone, *map(seen, places))
        assert {face.number: face.detection.box[0] for face in found if face.detection} == {0: 100, 1: 400}


def test_a_face_that_enters_while_another_leaves_is_another() -> None:
    following, everyone = selector("track", hold=2), selector("all", hold=2)
    assert only(following, seen(540)) == (0, "ok", 540)
    chosen(everyone, seen(540))
    for x in (0, 20):
        assert only(following, seen(x)) == (0, "tracked", 540)
        assert [face.number for face in chosen(everyone, seen(x))] == [1]
    assert only(following, seen(40)) == (1, "ok", 40)
    assert only(following, seen(60), seen(540)) == (1, "ok", 60)


@pytest.mark.parametrize(
    ("policy", "hold", "message"),
    [
        ("biggest", 2, r"selection.policy: expected largest, center, track, all, got 'biggest'"),
        ("track", -1, r"selection.hold: expected frames >= 0, got -1"),
        ("track", 1.5, r"selection.hold: expected frames >= 0, got 1.5"),
    ],
)
def test_mistakes_are_named_by_their_key(policy: str, hold: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        selector(policy, hold=hold)


def frames(*found: list[Detection] | None) -> list[tuple[Frame, list[Detection]]]:
    """Frames with what was detected in each; None: one that did not decode."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return [
        (Frame(number, None, None if each is None else image), each or []) for number, each in enumerate(found, start=1)
    ]


def numbers(searched: list[tuple[Frame, list[Detection]]], *, sequence: bool) -> list[int | None]:
    chosen = choose_faces(searched, policy="largest", hold=2, min_score=0.5, sequence=sequence)
    return [face.number for _, faces in chosen for face in faces]


def test_faces_of_a_sequence_keep_their_numbers_and_photographs_begin_afresh() -> None:
    searched = frames([seen(10)], [seen(300)], [seen(12)])
    first = numbers(searched, sequence=True)
    assert first[0] == first[2] != first[1]
    assert len(set(numbers(searched, sequence=False))) == 1


@pytest.mark.parametrize("policy", ["track", "largest", "all"])
def test_no_track_spans_a_cut(policy: str) -> None:
    searched = frames([seen(10)], [seen(10)], [], [seen(10)])
    searched[2] = (dataclasses.replace(searched[2][0], after_cut=True), [])
    rows = [faces for _, faces in choose_faces(searched, policy=policy, hold=5, min_score=0.5, sequence=True)]
    assert [(face.number, face.status) for (face,) in rows] == [(0, "ok"), (0, "ok"), (None, "no_face"), (1, "ok")]


def test_a_frame_that_did_not_decode_has_one_row_and_is_no_miss() -> None:
    searched = frames([seen(10)], None, [seen(12)])
    rows = list(choose_faces(searched, policy="largest", hold=0, min_score=0.5, sequence=True))
    assert [frame.number for frame, _ in rows] == [1, 2, 3]
    assert rows[1][1] == [NO_FRAME]
    assert rows[0][1][0].number == rows[2][1][0].number


def test_no_face_is_held_where_a_frame_shows_nothing() -> None:
    searched = frames([seen(10)], [], [], [], [seen(10)])
    images = [frame.image for frame, _ in searched]
    images[1] = np.random.default_rng(0).integers(0, 99, (HEIGHT, WIDTH, 3), np.uint8)  # hidden: something is there
    images[3] = images[1].copy()
    images[3][80:220, :150] = 200  # as bright as can be, and nothing to see where the face was
    pairs = zip(images, searched, strict=True)
    searched = [(dataclasses.replace(frame, image=image), found) for image, (frame, found) in pairs]
    rows = list(choose_faces(searched, policy="track", hold=5, min_score=0.5, sequence=True))
    assert [face.status for _, (face,) in rows] == ["ok", "tracked", "no_face", "no_face", "ok"]
    assert rows[0][1][0].number == rows[4][1][0].number


def crossing(*, side: float = 100, width: float = 100) -> list[list[Detection]]:
    """A face that stays at 200, and one that comes from the right, is hidden by it, and comes out on its left."""
    still = [seen(200, side=width)]
    coming = [[*still, seen(200 + distance, side=side)] for distance in (150, 110, 90)]
    leaving = [[*still, seen(200 - distance, side=side)] for distance in (80, 110, 150)]
    return [*coming, *[still] * 9, *leaving]


def all_numbers(searched: list[list[Detection]]) -> list[list[int | None]]:
    following = selector("all", hold=5)
    return [[face.number for face in chosen(following, *found)] for found in searched]


def test_a_face_that_reappears_from_behind_another_gives_both_new_numbers() -> None:
    found = all_numbers(crossing())
    assert found[:12] == [[0, 1]] * 3 + [[0]] * 9
    assert found[12:] == [[2, 3]] * 3


def test_faces_of_another_size_and_faces_found_twice_are_told_apart() -> None:
    assert {numbers[0] for numbers in all_numbers(crossing(side=60))} == {0}
    twice = [seen(200), seen(215)]
    assert all_numbers([twice, *[[seen(200)]] * 9, twice])[-1] == [0, 2]


def test_a_face_that_is_missed_beside_another_keeps_its_number() -> None:
    both = [seen(200), seen(290)]
    assert all_numbers([both, [seen(200)], both])[-1] == [0, 1]
