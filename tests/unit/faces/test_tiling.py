from __future__ import annotations

import numpy as np
import pytest

from faceflow.faces.detector import Detection
from faceflow.faces.features import FaceFeatures
from faceflow.faces.tiling import detect_close_up, detect_in_tiles, merged
from faceflow.images import Image


def face(x1: float, y1: float, x2: float, y2: float) -> Detection:
    box = np.array([x1, y1, x2, y2], np.float64)
    points, landmarks = np.full((5, 2), x1, np.float64), np.array([[x1, y2]])
    known = FaceFeatures(landmarks=np.array([[x1, y2, 5.0]]), blendshapes=np.array([0.5]), pose=np.array([1.0, 2, 3]))
    return Detection(box=box, points=points, score=0.9, landmarks=landmarks, features=known)


def bright_blocks(image: Image) -> list[Detection]:
    """Every separate white rectangle of an image is a face, also where the image cuts it."""
    found = []
    left = (image[:, :, 0] > 0).astype(np.uint8)
    while left.any():
        y, x = np.argwhere(left)[0]
        width = int((np.cumprod(left[y, x:]) > 0).sum())
        height = int((np.cumprod(left[y:, x]) > 0).sum())
        left[y : y + height, x : x + width] = 0
        # As a detector would, it guesses that a face that ends at the edge goes on beyond it.
        x1, y1 = x - 3 * (x == 0), y - 3 * (y == 0)
        x2, y2 = x + width + 3 * (x + width == left.shape[1]), y + height + 3 * (y + height == left.shape[0])
        found.append(face(x1, y1, x2, y2))
    return found


@pytest.mark.parametrize("across", [2, 3])
def test_every_small_face_is_found_once_whole_and_at_its_place(across: int) -> None:
    image = np.zeros((300, 420, 3), np.uint8)
    places = [(30, 40), (195, 130), (100, 200), (300, 260), (390, 5), (205, 20)]
    for x, y in places:
        image[y : y + 24, x : x + 20] = 255
    found = detect_in_tiles(bright_blocks, image, across=across)
    assert sorted(tuple(face.box) for face in found) == sorted((x, y, x + 20, y + 24) for x, y in places)
    for one in found:
        np.testing.assert_array_equal(one.landmarks, [[one.box[0], one.box[3]]])
        assert one.features is not None
        np.testing.assert_array_equal(one.features.landmarks, [[one.box[0], one.box[3], 5]])
        assert (*one.features.blendshapes, *one.features.pose) == (0.5, 1, 2, 3)


def test_face_cut_by_the_image_is_kept() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[0:20, 180:200] = 255
    (found,) = detect_in_tiles(bright_blocks, image, across=2)
    np.testing.assert_array_equal(found.box, [180, -3, 203, 20])


def test_overlapping_faces_are_one_and_the_earlier_stays() -> None:
    first, same, other = face(0, 0, 10, 10), face(2, 0, 12, 10), face(8, 0, 18, 10)
    assert merged([first, same, other]) == [first, other]


def test_close_up_shows_three_times_the_box_and_its_face_counts() -> None:
    """The box 60..80 has its middle at 70 and 130, so 30 px on each side are seen: 40..100 across, 100..160 down."""
    image = np.arange(200 * 160, dtype=np.uint32).reshape(200, 160, 1).repeat(3, axis=2).astype(np.uint8)
    seen = []

    def sharper(part: Image) -> list[Detection]:
        seen.append(part)
        return [face(2, 3, 12, 13), face(19, 32, 41, 50)]

    found = detect_close_up(sharper, image, face(60, 124, 80, 136))
    np.testing.assert_array_equal(seen, [image[100:161, 40:101]])
    np.testing.assert_array_equal(found.box, [59, 132, 81, 150])
    np.testing.assert_array_equal(found.landmarks, [[59, 150]])


def test_close_up_ends_where_the_image_ends() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[90:, :10] = 255
    found = detect_close_up(bright_blocks, image, face(-2, 88, 12, 102))
    np.testing.assert_array_equal(found.box, [-3, 90, 10, 103])


@pytest.mark.parametrize("shown", [[], [face(0, 0, 8, 8)]], ids=["nothing", "somebody else"])
def test_face_that_a_close_up_does_not_show_stays_as_it_was(shown: list[Detection]) -> None:
    rough = face(40, 40, 60, 60)
    assert detect_close_up(lambda part: shown, np.zeros((100, 100, 3), np.uint8), rough) is rough


def test_face_beyond_the_image_stays_as_it_was() -> None:
    beyond = face(400, 40, 420, 60)
    assert detect_close_up(bright_blocks, np.zeros((100, 100, 3), np.uint8), beyond) is beyond
