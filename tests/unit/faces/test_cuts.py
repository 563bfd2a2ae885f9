from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest

from faceflow.faces.cuts import mark_cuts
from faceflow.faces.video import Frame
from faceflow.images import Image

HEIGHT, WIDTH = 144, 192
HALF = 12  # frames of a shot


def scene(seed: int) -> Image:
    """A picture with coarse and fine structure, larger than a frame on all sides."""
    rng = np.random.default_rng(seed)
    coarse, fine = (rng.normal(0, 1, (n, n, 3)) for n in (6, 24))
    layers = [cv2.resize(noise, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC) for noise in (coarse, fine)]
    return np.clip(110 + 45 * layers[0] + 30 * layers[1], 0, 255).astype(np.uint8)


def view(picture: Image, x: float = 0.0, zoom: float = 1.0) -> Image:
    """A frame of a scene, moved by a share of the frame's width."""
    scale = zoom * np.array([[1, 0], [0, 1]])
    middle = np.array([WIDTH * (1 + x), HEIGHT])
    affine = np.column_stack([scale, [WIDTH / 2, HEIGHT / 2] - scale @ middle])
    return np.asarray(cv2.warpAffine(picture, affine, (WIDTH, HEIGHT)), np.uint8)


def swung(number: int) -> Image:
    """A camera at rest, but for six frames around 0 in which it moves and blurs by 0.15 of the width."""
    image = view(A, x=0.15 * min(max(number, -3), 3))
    return cv2.blur(image, (29, 1)) if abs(number) < 3 else image


def lit(image: Image, gain: float | Image) -> Image:
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def marked(images: Sequence[Image | None]) -> list[int]:
    """Numbers of the frames, from 0, before which a cut is found."""
    frames = [Frame(number, None, image) for number, image in enumerate(images)]
    passed = list(mark_cuts(frames))
    assert [(frame.number, frame.image is frames[frame.number].image) for frame in passed] == [
        (frame.number, True) for frame in frames
    ]
    return [frame.number for frame in passed if frame.after_cut]


A, B = scene(1), scene(2)
SHOT = [view(A)] * HALF
SIDELIGHT = np.linspace(0.2, 1.9, WIDTH)[None, :, None]
SPOT = 1 + 3 * np.exp(-(np.linspace(-2, 2, WIDTH) ** 2))[None, :, None]


def test_the_first_frame_of_another_shot_is_marked() -> None:
    assert marked([*SHOT, *[view(B)] * HALF, *SHOT]) == [HALF, 2 * HALF]


def test_a_cut_can_be_the_last_frame_or_lie_in_a_shot_that_moves() -> None:
    assert marked([*SHOT, view(B)]) == [HALF]
    moving = [view(picture, x=0.03 * number) for picture in (A, B) for number in range(HALF)]
    assert marked(moving) == [HALF]


def test_the_same_scene_from_nearer_is_another_shot() -> None:
    assert marked([*SHOT, *[view(A, zoom=1.8)] * HALF]) == [HALF]


UNCUT: dict[str, Callable[[int], Image]] = {
    "a camera that pans": lambda n: view(A, x=0.04 * (n - HALF)),
    "one that is swung round": lambda n: swung(n - HALF),
    "one that shakes": lambda n: view(A, x=0.04 * (-1) ** n),
    "one that zooms": lambda n: view(A, zoom=1.04**n),
    "light that flickers": lambda n: lit(view(A), 0.7 if n % 3 else 1.2),
    "light that is switched off": lambda n: lit(view(A), 0.3 if n > HALF else 1),
    "light from the side": lambda n: lit(view(A), SIDELIGHT if n > HALF else 1.0),
    "a flash": lambda n: lit(view(A), 5 * SPOT if n == HALF else 1.0),
    "a flash of two frames": lambda n: lit(view(A), 5 * SPOT if n in (HALF, HALF + 1) else 1.0),
    "two pictures of another scene": lambda n: view(B) if n in (HALF, HALF + 1) else view(A),
    "focus that is lost": lambda n: cv2.GaussianBlur(view(A), (0, 0), 7) if n > HALF else view(A),
    "a white frame": lambda n: np.full_like(view(A), 255) if n == HALF else view(A),
    "fades to black and back": lambda n: lit(view(A), min(abs(n - HALF) / 6, 1)),
    "noise in the dark": lambda n: lit(view(A), 0.15) + np.random.default_rng(n).integers(0, 9, (HEIGHT, WIDTH, 3)),
}


@pytest.mark.parametrize("name", UNCUT)
def test_motion_and_light_are_no_cuts(name: str) -> None:
    assert marked([np.asarray(UNCUT[name](number), np.uint8) for number in range(2 * HALF)]) == []


def test_between_fades_the_first_frame_that_shows_the_other_scene_is_marked() -> None:
    assert marked([*SHOT, *[np.zeros_like(SHOT[0])] * 5, *[view(B)] * HALF]) == [HALF + 5]


def test_frames_that_did_not_decode_are_passed_over() -> None:
    assert marked([*SHOT, None, None, *SHOT]) == []
    assert marked([None, *SHOT, None, *[view(B)] * HALF, None]) == [HALF + 2]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (30, 900), (2160, 64)])
def test_pictures_of_any_size_are_looked_at(size: tuple[int, int]) -> None:
    shots = [cv2.resize(view(picture), size, interpolation=cv2.INTER_AREA) for picture in (A, B)]
    found = marked([np.asarray(shots[n >= HALF]) for n in range(2 * HALF)])
    assert found == ([] if size == (1, 1) else [HALF])


def test_only_what_looks_like_a_cut_waits_and_for_two_frames() -> None:
    read = []

    def frames() -> Iterator[Frame]:
        for number in range(2 * HALF):
            read.append(number)
            yield Frame(number, None, view(A if number < HALF else B))

    ahead = [len(read) - frame.number - 1 for frame in mark_cuts(frames())]
    assert ahead[: HALF + 1] == [0] * HALF + [2]
    assert ahead[HALF + 3 :] == [0] * (HALF - 3)


def test_no_frames_give_no_cuts() -> None:
    assert marked([]) == []
