from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import Array, Detection
from faceflow.faces.geometry import frontal_eye_distance
from faceflow.faces.landmarks import points_of_mesh
from faceflow.images import Image
from tests.helpers.affine import transform

PRESETS = ("eyes", "box", "jaanet")
# Eyes, nose tip, mouth corners of an upright face.
POINTS = np.array([[100, 100], [140, 100], [120, 125], [105, 145], [135, 145]], np.float64)


def recipe(name: str, /, **changes: Any) -> Recipe:
    values = OmegaConf.to_container(OmegaConf.load(Path(config_dir()) / "align" / f"{name}.yaml"))
    assert isinstance(values, dict)
    return Recipe.from_dict({**{str(key): value for key, value in values.items()}, **changes})


def face(points: Array = POINTS, box: tuple[float, float, float, float] = (80, 70, 160, 170)) -> Detection:
    return Detection(box=np.array(box, np.float64), points=points, score=0.9)


def head(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Five points (5, 2) of a head turned by degrees, seen from far away; from the front its eyes are 40 px apart."""
    points = np.array([[-20, 0, 0], [20, 0, 0], [0, 20, -27], [-15, 45, -10], [15, 45, -10]], np.float64)
    turned = points
    for angle, (first, second) in ((yaw, (0, 2)), (pitch, (1, 2)), (roll, (0, 1))):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        matrix = np.eye(3)
        matrix[[first, first, second, second], [first, second, first, second]] = cos, -sin, sin, cos
        turned = turned @ matrix.T
    return turned[:, :2] + 120.0


def turn(degrees: float, center: tuple[float, float], zoom: float = 1.0) -> Array:
    """Turns pictures counterclockwise about a point."""
    return np.asarray(cv2.getRotationMatrix2D(center, degrees, zoom), np.float64)


def pattern(height: int, width: int) -> Image:
    """A smooth picture without symmetry, so that only interpolation blurs it."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(x / 17 + y / 41), np.cos(y / 13 - x / 29), np.sin((x + 2 * y) / 37)]
    return np.stack([127 + 100 * wave for wave in waves], axis=-1).round().astype(np.uint8)


def test_eyes_come_to_the_places_that_the_config_names() -> None:
    chosen = recipe("eyes", size=200, eye_distance=0.4, eye_height=0.25)
    # The crop spans -0.5..199.5, so shares 0.3, 0.7 of the width and 0.25 of the height are 59.5, 139.5 and 49.5.
    np.testing.assert_allclose(transform(chosen.affine(face()), POINTS[:2]), [[59.5, 49.5], [139.5, 49.5]])


@pytest.mark.parametrize("degrees", [-170, -30, 0, 17, 90])
def test_eyes_keep_their_places_however_the_face_is_turned_sized_and_moved(degrees: float) -> None:
    chosen = recipe("eyes")
    upright = transform(chosen.affine(face()), POINTS)
    moved = transform(turn(degrees, (31, 77), zoom=1.7), POINTS)
    np.testing.assert_allclose(transform(chosen.affine(face(moved)), moved), upright, atol=1e-9)


def test_without_roll_the_point_between_the_eyes_has_its_place_and_the_head_stays_tilted() -> None:
    tilted = transform(turn(30, (120, 100)), POINTS)
    places = transform(recipe("eyes", size=100, eye_height=0.5, roll=False).affine(face(tilted)), tilted[:2])
    np.testing.assert_allclose(places.mean(axis=0), [49.5, 49.5])
    x, y = places[1] - places[0]
    assert math.degrees(math.atan2(y, x)) == pytest.approx(-30)
    assert math.hypot(x, y) == pytest.approx(30)


@pytest.mark.parametrize("yaw", [-60, -30, 0, 45, 75])
@pytest.mark.parametrize("pitch", [-30, 0, 30])
def test_distance_of_the_eyes_from_the_front_is_seen_in_a_turned_head(yaw: float, pitch: float) -> None:
    # The nose tip lies hypot(20, 27) = 33.60 px = 0.84 * 40 px from the middle of the eyes, at a right angle to them.
    points = head(yaw=yaw, pitch=pitch, roll=11)
    assert frontal_eye_distance(*points[:3]) == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize("pitch", [-20, 0, 20])
def test_a_face_turned_to_its_side_is_enlarged_so_many_times_at_most(pitch: float) -> None:
    def size(yaw: float, **changes: Any) -> float:
        affine = recipe("eyes", **changes).affine(face(head(yaw=yaw, pitch=pitch)))
        return math.sqrt(np.linalg.det(affine[:, :2])) * 40 / (0.3 * 224)

    assert size(60, max_enlargement=1.1) == pytest.approx(1.1, rel=1e-3)
    assert size(-60, max_enlargement=1.1) == pytest.approx(1.1, rel=1e-3)
    # The eyes, (cos 60, 0, sin 60) apart, are nodded: half as far from each other, or a little more.
    apart = math.hypot(0.5, math.sin(math.radians(60)) * math.sin(math.radians(pitch)))
    assert size(60, max_enlargement=None) == pytest.approx(1 / apart)


@pytest.mark.parametrize("pitch", [-15, 0, 15])
@pytest.mark.parametrize("yaw", [-15, 0, 15])
def test_a_face_that_is_hardly_turned_is_cut_as_ever(yaw: float, pitch: float) -> None:
    slightly = face(head(yaw=yaw, pitch=pitch, roll=20))
    before = recipe("eyes", max_enlargement=None).affine(slightly)
    np.testing.assert_array_equal(recipe("eyes").affine(slightly), before)


def test_recipes_of_earlier_versions_and_detectors_without_a_nose_bring_both_eyes_to_their_places() -> None:
    turned = head(yaw=60)
    stored = {key: value for key, value in recipe("eyes").to_dict().items() if key != "max_enlargement"}
    noseless = np.where(np.arange(5)[:, None] == 2, np.nan, turned)
    for affine in (Recipe.from_dict(stored).affine(face(turned)), recipe("eyes").affine(face(noseless))):
        across = np.diff(transform(affine, turned[:2]), axis=0)
        np.testing.assert_allclose(across, [[0.3 * 224, 0]], atol=1e-9)


def test_box_is_centred_with_its_margin() -> None:
    # Longer side 100, margin 0.5 on each side: 200 frame pixels become 50, centred at (120, 120).
    affine = recipe("box", size=50, margin=0.5).affine(face())
    np.testing.assert_allclose(affine, [[0.25, 0, 24.5 - 30], [0, 0.25, 24.5 - 30]])


def test_jaanet_crop_by_hand() -> None:
    # Box of the points: 40 wide, 45 high, centre (120, 122.5). Half a side is 2.9 * 45 / 2 = 65.25 px, which become
    # (200 - 1) / 2 = 99.5 px.
    scale = 99.5 / 65.25
    affine = recipe("jaanet").affine(face())
    np.testing.assert_allclose(affine, [[scale, 0, 99.5 - scale * 120], [0, scale, 99.5 - scale * 122.5]])


def test_jaanet_box_is_measured_in_the_upright_face() -> None:
    tilted = transform(turn(25, (10, 300)), POINTS)
    upright = transform(recipe("jaanet").affine(face()), POINTS)
    np.testing.assert_allclose(transform(recipe("jaanet").affine(face(tilted)), tilted), upright, atol=1e-9)


def test_eyes_of_the_mesh_do_not_follow_lids_or_irises() -> None:
    landmarks = np.random.default_rng(0).normal(size=(478, 2))
    points = points_of_mesh(landmarks)
    np.testing.assert_allclose(points[0], (landmarks[33] + landmarks[133]) / 2)
    np.testing.assert_allclose(points[1], (landmarks[362] + landmarks[263]) / 2)
    landmarks[[159, 145, 386, 374, *range(468, 478)]] += 10
    np.testing.assert_array_equal(points_of_mesh(landmarks), points)


@pytest.mark.parametrize("preset", PRESETS)
def test_crop_of_the_mirrored_frame_is_the_mirrored_crop(preset: str) -> None:
    chosen, picture = recipe(preset, size=64), pattern(200, 240)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    points = POINTS[[1, 0, 2, 4, 3]] * [-1, 1] + [239, 0]
    there = face(points, box=(239 - 160, 70, 239 - 80, 170))
    crop = chosen.warp(picture, chosen.affine(face()))
    assert np.abs(chosen.warp(mirrored, chosen.affine(there))[:, ::-1].astype(int) - crop).max() <= 2


@pytest.mark.parametrize("preset", ["eyes", "jaanet"])
@pytest.mark.parametrize("zoom", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("degrees", [-30, 12, 30])
def test_crop_of_a_turned_picture_is_that_of_the_upright_one(preset: str, zoom: float, degrees: float) -> None:
    chosen, picture = recipe(preset, size=100), pattern(400, 400)
    points = POINTS + 80.0
    moving = turn(degrees, (200, 200), zoom)
    moving[:, 2] += 200 * zoom - 100
    side = round(200 + 400 * zoom)
    turned = np.asarray(cv2.warpAffine(picture, moving, (side, side), flags=cv2.INTER_CUBIC), np.uint8)
    upright = chosen.warp(picture, chosen.affine(face(points)))
    crop = chosen.warp(turned, chosen.affine(face(transform(moving, points))))
    difference = np.abs(crop.astype(int) - upright)
    assert difference.mean() < 1.0
    assert difference.max() <= 8


def test_identity_gives_the_pixels_of_the_frame() -> None:
    picture = pattern(100, 100)
    affine = np.array([[1.0, 0, -20], [0, 1, -30]])
    for interpolation in ("area", "linear"):
        crop = recipe("box", size=32, interpolation=interpolation).warp(picture, affine)
        np.testing.assert_array_equal(crop, picture[30:62, 20:52])


def test_shrinking_by_a_whole_number_averages_blocks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    # Four frame pixels to a crop pixel; the centre of the first block is at 1.5.
    affine = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]])
    crop = recipe("box", size=32).warp(noise, affine)
    blocks = noise.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(crop - blocks).max() <= 1


def test_area_does_not_alias_and_linear_does() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 200
    affine = np.array([[0.17, 0, 0], [0, 0.17, 0]])
    area = recipe("box", size=64, interpolation="area").warp(stripes, affine)[4:-4, 4:-4]
    linear = recipe("box", size=64, interpolation="linear").warp(stripes, affine)[4:-4, 4:-4]
    assert np.ptp(area) <= 50
    assert np.ptp(linear) >= 150


@pytest.mark.parametrize(("padding", "beyond"), [("replicate", 50), ("reflect", 52), (128, 128)])
def test_face_cut_by_the_border_is_padded_and_keeps_its_place(padding: str | int, beyond: int) -> None:
    ramp = np.repeat(np.arange(50, 150, dtype=np.uint8), 3).reshape(1, 100, 3).repeat(100, axis=0)
    affine = np.array([[1.0, 0, 10], [0, 1, 0]])  # the first ten columns of the crop lie left of the frame
    crop = recipe("box", size=64, padding=padding).warp(ramp, affine)
    np.testing.assert_array_equal(crop[:, 10:], ramp[:64, :54])
    assert (crop[:, 8] == beyond).all()


def test_points_that_fall_together_still_give_a_crop() -> None:
    nowhere = face(np.full((5, 2), 7.0), box=(7, 7, 7, 7))
    for preset in PRESETS:
        chosen = recipe(preset, size=32)
        affine = chosen.affine(nowhere)
        assert np.isfinite(affine).all()
        assert chosen.warp(pattern(20, 20), affine).shape == (32, 32, 3)


def test_huge_faces_take_bounded_memory() -> None:
    affine = np.array([[1e-3, 0, 0], [0, 1e-3, 0]])  # 64,000 frame pixels across the crop
    assert recipe("box", size=64).warp(pattern(50, 50), affine).shape == (64, 64, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_recipe_survives_plain_data(preset: str) -> None:
    chosen = recipe(preset, size=96)
    assert chosen.to_dict()["preset"] == preset
    assert Recipe.from_dict(chosen.to_dict()) == chosen


def test_mouth_corners_that_no_detector_gives_are_asked_for_only_where_needed() -> None:
    points = POINTS.copy()
    points[3:] = np.nan
    assert np.isfinite(recipe("eyes").affine(face(points))).all()
    with pytest.raises(
        ConfigError, match=r"align.preset: expected a detector that gives eyes, nose tip and mouth corners"
    ):
        recipe("jaanet").affine(face(points))
    points[0] = np.nan
    with pytest.raises(ConfigError, match=r"gives both eyes, which 'eyes' needs, .* align=box"):
        recipe("eyes").affine(face(points))
    assert np.isfinite(recipe("box").affine(face(points))).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "eye"}, r"align.preset: expected a known preset, got 'eye'; did you mean 'eyes'"),
        ({"sise": 3}, r"align.sise: preset 'eyes' has no such key; did you mean 'size'"),
        ({"margin": 0.1}, r"align.margin: preset 'eyes' has no such key"),
        ({"size": 0}, r"align.size: expected a whole number of pixels >= 16, got 0"),
        ({"size": 224.0}, r"align.size: .* got 224.0"),
        ({"padding": "mirror"}, r"align.padding: expected replicate, reflect, or a grey level 0..255, got 'mirror'"),
        ({"padding": 256}, r"align.padding: .* got 256"),
        ({"interpolation": "cubic"}, r"align.interpolation: expected area or linear, got 'cubic'"),
        ({"eye_distance": 1.2}, r"align.eye_distance: expected a share in 0..1, got 1.2"),
        ({"roll": 1}, r"align.roll: expected true or false, got 1"),
        ({"max_enlargement": 0.9}, r"align.max_enlargement: expected a number >= 1, or null, got 0.9"),
    ],
)
def test_mistakes_are_named_by_their_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe("eyes", **changes)


def test_missing_key_is_named() -> None:
    values = recipe("box").to_dict()
    del values["margin"]
    with pytest.raises(ConfigError, match=r"align.margin: expected a value, got none"):
        Recipe.from_dict(values)
