from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from omegaconf import OmegaConf

from faceflow.config.paths import config_dir
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import ConfigError

SIZE = 56
RANDOM = ("weak", "medium", "strong")
ALL = ("eval", *RANDOM)

Image = npt.NDArray[np.uint8]


def shipped_steps(name: str) -> dict[str, Any]:
    group = OmegaConf.load(f"{config_dir()}/transforms/{name}.yaml")
    cfg = OmegaConf.create({"model": {"image_size": SIZE}, "transforms": {name: group}})
    plain: Any = OmegaConf.to_container(cfg.transforms[name], resolve=True)
    return dict(plain)


def shipped(name: str, *only: str) -> Pipeline:
    steps = shipped_steps(name)
    return build_pipeline({step: steps[step] for step in only or steps}, key=f"transforms.{name}")


def built(**steps: Any) -> Pipeline:
    resize = {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE}
    return build_pipeline({"resize": resize, **steps}, key="transforms.strong")


def textured(height: int = 64, width: int = 64) -> Image:
    noise = np.random.default_rng(3).integers(30, 220, (8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "image",
    [textured(), textured(9, 7), textured(40, 90), np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64, 3), np.uint8)],
    ids=["square", "tiny", "wide", "gray", "black"],
)
def test_output_is_square_contiguous_uint8_of_the_model_size(name: str, image: Image) -> None:
    pipeline = shipped(name)
    for seed in range(20):
        out = pipeline(image, seed)
        assert out.shape == (SIZE, SIZE, 3)
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous


def test_eval_of_an_image_of_the_right_size_is_the_identity() -> None:
    image = textured(SIZE, SIZE)
    np.testing.assert_array_equal(shipped("eval")(image, 5), image)


def test_eval_shrinks_by_averaging_areas() -> None:
    image = textured(2 * SIZE, 2 * SIZE)
    means = image.reshape(SIZE, 2, SIZE, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(shipped("eval")(image, 0), means, atol=0.5)


@pytest.mark.parametrize("name", RANDOM)
def test_result_depends_on_image_and_seed_but_not_on_earlier_calls(name: str) -> None:
    image, seeds = textured(), range(30)
    pipeline = shipped(name)
    forward = [pipeline(image, seed) for seed in seeds]
    backward = [pipeline(image, seed) for seed in reversed(seeds)][::-1]
    other = shipped(name)
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(forward, [other(image, seed) for seed in seeds])
    assert len({out.tobytes() for out in forward}) == len(seeds)


@pytest.mark.slow
def test_result_is_the_same_in_a_spawned_worker() -> None:
    image = textured()
    pipelines = [shipped(name) for name in RANDOM]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as worker:
        for pipeline in pipelines:
            there = list(worker.map(pipeline, [image] * 12, range(12)))
            np.testing.assert_array_equal(there, [pipeline(image, seed) for seed in range(12)])


@pytest.mark.parametrize("name", ALL)
def test_input_image_is_not_written_to(name: str) -> None:
    image = textured(SIZE, SIZE)
    before = image.copy()
    pipeline = shipped(name)
    for seed in range(40):
        pipeline(image, seed)
    np.testing.assert_array_equal(image, before)


def test_steps_draw_independently_of_each_other() -> None:
    hole = {"_target_": "albumentations.CoarseDropout", "p": 1.0, "num_holes_range": [1, 1]}
    pipeline = built(first={**hole, "fill": 255}, second={**hole, "fill": 0})
    gray = np.full((SIZE, SIZE, 3), 128, np.uint8)
    # With one stream for every step, both holes would be the same and the white one never seen.
    assert sum((pipeline(gray, seed) == 255).any() for seed in range(50)) > 40


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("corner", [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)])
def test_brows_and_mouth_stay_in_the_picture(name: str, corner: tuple[float, float]) -> None:
    pipeline = shipped(name, "resize", "affine")
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    center = int(corner[0] * SIZE), int(corner[1] * SIZE)
    cv2.circle(image, center, 1, (255, 255, 255), -1)
    for seed in range(300):
        assert pipeline(image, seed).max() > 100


@pytest.mark.parametrize("name", ["medium", "strong"])
def test_light_changes_to_both_sides(name: str) -> None:
    image = textured()
    pipeline = shipped(name)
    change = np.array([pipeline(image, seed).mean() for seed in range(200)]) - image.mean()
    assert (change < -5).mean() > 0.08
    assert (change > 5).mean() > 0.2


def test_cutout_is_always_there_and_never_larger_than_its_cap() -> None:
    cap = shipped_steps("strong")["cutout"]["hole_height_range"][1]
    assert cap <= 0.3
    pipeline = shipped("strong", "resize", "cutout")
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    areas = np.array([(pipeline(image, seed) > 0).all(axis=2).sum() for seed in range(300)])
    assert areas.min() > 0
    assert areas.max() <= (cap * SIZE) ** 2
    assert areas.max() > 0.5 * (cap * SIZE) ** 2


def test_null_steps_are_skipped_at_every_level() -> None:
    steps = shipped_steps("strong")
    steps |= {"affine": None, "color": None, "camera": None, "cutout": None}
    steps["tone"] = {**steps["tone"], "p": 1.0, "transforms": dict.fromkeys(steps["tone"]["transforms"])}
    steps["tone"]["transforms"]["solarize"] = {
        "_target_": "albumentations.Solarize",
        "threshold_range": [0, 0],
        "p": 1.0,
    }
    image = textured(SIZE, SIZE)
    out = build_pipeline(steps, key="transforms.strong")(image, 0)
    np.testing.assert_array_equal(out, 255 - image)


CUTOUT = "albumentations.CoarseDropout"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"_target_": CUTOUT, "num_hole_range": [1, 1]},
            "transforms.strong.cutout: CoarseDropout has no argument 'num_hole_range'; did you mean 'num_holes_range'",
        ),
        (
            {"_target_": CUTOUT, "max_holes": 2},
            "transforms.strong.cutout: CoarseDropout has no argument 'max_holes'; ",
        ),
        (
            {"_target_": CUTOUT, "num_holes_range": [3, 1]},
            "transforms.strong.cutout.num_holes_range: ",
        ),
        (
            {"_target_": "albumentations.RandomGamma", "gamma_limit": "bright"},
            "transforms.strong.cutout.gamma_limit: ",
        ),
        ({"_target_": "albumentations.CoarseDropuot"}, "did you mean 'CoarseDropout'"),
        ({"_target_": "albumentation.Blur"}, "transforms.strong.cutout: "),
        ({"p": 1.0}, "_target_"),
        (0.3, "transforms.strong.cutout: expected a mapping"),
        ({"_target_": "fractions.Fraction"}, "transforms.strong.cutout: expected an albumentations transform"),
        ({"_target_": "albumentations.HorizontalFlip", "p": 0.5}, "left and right"),
        (
            {"_target_": "albumentations.OneOf", "transforms": {"hole": {"_target_": CUTOUT, "fil": 0}}},
            "transforms.strong.cutout.transforms.hole: CoarseDropout has no argument 'fil'; did you mean 'fill'",
        ),
        (
            {"_target_": "albumentations.SomeOf", "n": 2, "transforms": {"hole": {"_target_": CUTOUT}}},
            "transforms.strong.cutout: SomeOf would change its arguments: `n` is greater",
        ),
        (
            {"_target_": "albumentations.OneOf", "transforms": [{"_target_": "albumentations.D4"}]},
            "transforms.strong.cutout.transforms.0: D4 would mix up left and right AUs",
        ),
        (
            {"_target_": "albumentations.OneOf", "transforms": 2},
            "transforms.strong.cutout.transforms: expected a mapping of step names",
        ),
        ({"_target_": "albumentations.Normalize", "p": 1.0}, "expected steps that make square uint8 RGB images"),
        (
            {"_target_": "albumentations.Resize", "height": 20, "width": 30},
            "expected steps that make square uint8 RGB images",
        ),
    ],
)
def test_bad_steps_are_named_in_one_line(step: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        built(cutout=step)
    text = str(caught.value)
    assert message in text
    assert text.startswith("transforms.strong")
    assert "\n" not in text


def test_missing_resize_is_refused() -> None:
    steps = shipped_steps("weak") | {"resize": None}
    with pytest.raises(ConfigError, match=r"^transforms\.weak: .*keep the resize step"):
        build_pipeline(steps, key="transforms.weak")
