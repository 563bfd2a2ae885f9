"""Lamps, poses, sensors and colours of domains; values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from faceflow.config.composition import compose_config
from faceflow.errors import ConfigError
from faceflow.rendering.build import build_domains
from faceflow.rendering.camera import Window
from faceflow.rendering.colour import lamp_tint, to_linear, to_srgb
from faceflow.rendering.domain import Angle
from faceflow.rendering.lighting import Lamp, Light
from faceflow.rendering.occluders import Occluders
from faceflow.rendering.sensor import (
    Blur,
    ColourCast,
    Contrast,
    Gamma,
    MotionBlur,
    Noise,
    Saturation,
    Shrink,
    Vignette,
    WhiteBalance,
    compress,
)
from faceflow.rendering.session import Session, sample_session

SESSION = Session(
    seed=1,
    azimuth=0.5,
    elevation=0.5,
    kelvin=0,
    brightness=0.5,
    zoom=0,
    pitch=0,
    yaw=0,
    side=-1,
    hue=(0.5, 1.0, 0.0),
    level=0.5,
)
LAMP = Lamp(
    azimuth=80,
    azimuth_session=20,
    elevation=0,
    elevation_session=60,
    sided=False,
    kelvin=None,
    strength=1,
    strength_session=2,
)
IMAGE = np.linspace(0, 1, 8 * 8 * 3).reshape(8, 8, 3)


def test_srgb_and_linear_light_are_those_of_the_standard() -> None:
    assert to_linear([0.0, 0.04045, 0.5, 1.0]) == pytest.approx([0, 0.0031308, 0.2140411, 1], rel=1e-4)
    assert to_srgb(to_linear(np.linspace(0, 1, 50))) == pytest.approx(np.linspace(0, 1, 50), abs=1e-6)


def test_a_warm_lamp_is_red_and_a_cold_one_blue() -> None:
    rng = np.random.default_rng(0)
    warm, cold = lamp_tint(rng, 3500), lamp_tint(rng, 9500)
    assert warm[0] > warm[1] > warm[2]
    assert cold[0] < cold[2]


def test_a_lamp_moves_with_the_session() -> None:
    x, y, z = LAMP.direction(SESSION)  # azimuth 80 + 20 * 0.5 = 90, elevation 60 * 0.5 = 30
    assert (x, y, z) == pytest.approx((math.cos(math.pi / 6), 0.5, 0), abs=1e-9)


def test_a_sided_lamp_is_on_the_side_of_the_session() -> None:
    x, _, _ = dataclasses.replace(LAMP, sided=True).direction(SESSION)
    assert x == pytest.approx(-math.cos(math.pi / 6))


def test_light_has_the_strength_of_its_lamps_and_less_from_the_floor() -> None:
    light = Light(kelvin=None, kelvin_session=0, lamps=[LAMP], shadows=1, above=0.6, below=0.2, floor=[1, 1, 0])
    found = light.sample(np.random.default_rng(0), SESSION)
    assert found.colours.tolist() == [[2, 2, 2]]  # 1 + 2 * 0.5
    assert found.ambient[0] == pytest.approx([0.4, 0.4, 0.3])
    assert found.ambient[2] == pytest.approx([0.2, 0.2, 0.3])


def test_an_angle_is_cut_at_its_limit() -> None:
    angle = Angle(mean=50, spread=0, session=3, limit=45)
    assert angle.sample(np.random.default_rng(0), 1.0) == pytest.approx(math.radians(45))
    assert Angle(mean=10, spread=0, session=3, limit=45).sample(np.random.default_rng(0), 2.0) == pytest.approx(
        math.radians(16)
    )


def test_a_session_is_that_of_its_seed() -> None:
    first, second, third = (sample_session(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != third


def test_stages_of_a_sensor_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    assert WhiteBalance(red=2, green=1, blue=0)(np.ones((2, 2, 3)), rng, SESSION)[0, 0].tolist() == [2, 1, 0]
    assert ColourCast(amount=0.2)(np.ones((1, 1, 3)), rng, SESSION)[0, 0] == pytest.approx([1, 1.2, 0.8])
    noisy = Noise(brightness=0.1, colour=0)(np.zeros((100, 100, 3)), rng, SESSION)
    assert noisy.std() == pytest.approx(0.1, rel=0.05)
    assert np.array_equal(noisy[..., 0], noisy[..., 2])
    assert Shrink(smallest=0.5, largest=0.5)(IMAGE, rng, SESSION).shape == (4, 4, 3)
    assert Contrast(amount=0)(IMAGE, rng, SESSION) == pytest.approx(IMAGE)
    assert Contrast(amount=1)(np.full((1, 1, 3), 0.25), rng, SESSION)[0, 0, 0] == pytest.approx(0.15625)  # 3x² - 2x³
    assert Gamma(power=0.5, session=1)(np.full((1, 1, 3), 0.3), rng, SESSION)[0, 0, 0] == pytest.approx(0.3)
    dark = Vignette(middle=1, fall=0.5)(np.ones((3, 3, 3)), rng, SESSION)
    assert dark[1, 1, 0] == 1
    assert dark[0, 0, 0] == pytest.approx(0)  # 1 - 0.5 * (1² + 1²)
    assert np.ptp(Saturation(share=0)(IMAGE, rng, SESSION), axis=-1).max() == 0
    point = np.zeros((33, 33, 3))
    point[16, 16] = 1
    assert Blur(pixels=5)(point, rng, SESSION).sum(axis=(0, 1)) == pytest.approx([1, 1, 1], rel=1e-3)
    blurred = MotionBlur(share=1)(point, rng, SESSION)
    assert blurred.sum() == pytest.approx(3)
    assert 3 <= (blurred[..., 0] > 0).sum() <= 4
    assert MotionBlur(share=0)(IMAGE, rng, SESSION) is IMAGE


def test_compression_loses_little_at_a_high_quality_and_nothing_without() -> None:
    smooth = np.tile(np.linspace(0.2, 0.8, 16)[None, :, None], (16, 1, 3))
    rng = np.random.default_rng(0)
    fine, coarse = (np.abs(compress(smooth, rng, [q, q]) - smooth).mean() for q in (95, 5))
    assert fine < 0.01 < coarse
    assert compress(smooth, rng, None) is smooth


@pytest.mark.parametrize("kind", ["hand", "object", "strands", "palm", "fringe"])
def test_an_occluder_covers_part_of_a_face(kind: str) -> None:
    image, whole = np.full((64, 64, 3), 0.9), Window(0, 0, 64, 64)
    skin = np.array([0.4, 0.2, 0.1], np.float32)
    covered = Occluders(share=1, kinds=[kind]).cover(image, whole, np.random.default_rng(1), skin)
    changed = (np.abs(covered - image) > 0.1).any(-1).mean()
    assert 0.01 < changed < 0.6
    large = np.full((128, 128, 3), 0.9)
    around = Occluders(share=1, kinds=[kind]).cover(large, Window(32, 32, 64, 64), np.random.default_rng(1), skin)
    inside = (np.abs(around[32:96, 32:96] - 0.9) > 0.1).any(-1)
    assert (inside == (np.abs(covered - image) > 0.1).any(-1)).mean() > 0.9  # in the same place of the face
    assert Occluders(share=0, kinds=[kind]).cover(image, whole, np.random.default_rng(1), skin) is image


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("domains.studio.occluders.share=2", "domains.studio.occluders.share: expected a share in 0..1, got 2"),
        (
            "domains.studio.occluders.kinds=[dog]",
            "domains.studio.occluders.kinds: expected hand, object, strands",
        ),
        ("domains.studio.light.lamps=[]", "domains.studio.light.lamps: expected at least one lamp"),
        (
            "domains.studio.camera.field_of_view=[60,20]",
            "domains.studio.camera.field_of_view: expected two numbers from 5 to 90",
        ),
        (
            "domains.studio.camera.field_of_view=20",
            "domains.studio.camera.field_of_view: expected two numbers from 5 to 90",
        ),
        ("domains.studio.camera.scale=-1", "domains.studio.camera.scale: expected a number >= 0, got -1"),
        ("domains.studio.camera.lens_blur=much", "domains.studio.camera.lens_blur: expected a number >= 0"),
        ("domains.studio.head.yaw.spread=-1", "domains.studio.head.spread: expected a number >= 0, got -1"),
        (
            "domains.webcam.compression.quality=[90,200]",
            "domains.webcam.compression.quality: expected two numbers",
        ),
        ("domains.office.background.blur=0", "domains.office.background.blur: expected a number > 0, got 0"),
        ("domains.studio.camera.stages.0.colour=-1", "domains.studio.camera.stages[0].colour: expected a number >= 0"),
        ("domains.studio.stream=1", "domains.office.stream: expected a different number from that of 'studio', got 1"),
        ("domains.studio.head.yaw.limit=90", "domains.studio.head.limit: expected degrees in 0..60, got 90"),
        ("+domains.studio.light.moon=1", "domains.studio: expected the keys of configs/domains/studio.yaml"),
        ("domains.webcam.camera.stages.0.smallest=0", "domains.webcam.camera.stages[0].smallest: expected two numbers"),
    ],
)
def test_invalid_values_of_a_domain_are_named(override: str, message: str) -> None:
    values = compose_config("render", ["output=-", override])
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        build_domains(values["domains"])
