"""Camera faults are equally strong at every image size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from faceflow.data.transforms import build_pipeline
from faceflow.errors import ConfigError

Image = npt.NDArray[np.uint8]


def shown(image: Image, seed: int = 0, **step: Any) -> Image:
    """What a step makes of a square image of any size."""
    size = len(image)
    resize = {"_target_": "albumentations.Resize", "height": size, "width": size}
    return build_pipeline({"resize": resize, "step": {"p": 1.0, **step}}, key="transforms.strong")(image, seed)


def camera(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"faceflow.data.camera.{name}", **arguments}


def edge_width(image: Image) -> float:
    """Deviation, as a share of the side, of the blur that made a picture of a sharp edge."""
    slope = np.diff(image[0, :, 0].astype(float))
    place = np.arange(len(slope)) / len(image)
    middle = (slope * place).sum() / slope.sum()
    return float(np.sqrt((slope * (place - middle) ** 2).sum() / slope.sum()))


@pytest.mark.parametrize("size", [56, 112, 224])
def test_blur_is_the_same_share_of_the_side_at_every_size(size: int) -> None:
    edge = np.zeros((size, size, 3), np.uint8)
    edge[:, size // 2 :] = 255
    blurred = shown(edge, **camera("Blur", sigma_limit=[4.0, 4.0], at_side=112))
    assert edge_width(blurred) == pytest.approx(4 / 112, rel=0.02)


@pytest.mark.parametrize("size", [56, 112, 224])
def test_noise_is_the_same_in_the_mean_over_a_share_of_the_face(size: int) -> None:
    gray = np.full((size, size, 3), 128, np.uint8)
    noisy = shown(gray, **camera("Noise", std_range=[0.06, 0.06], at_side=112))
    means = cv2.resize(noisy.astype(np.float32), (28, 28), interpolation=cv2.INTER_AREA)
    # Of 4 x 4 pixels at 112 px; albumentations cuts off what is behind the point, 0.4 on average.
    assert means.std() == pytest.approx((0.06 * 255 - 0.4) / 4, rel=0.06)


def test_blocks_of_compression_are_the_same_share_of_the_side_and_finer_detail_stays() -> None:
    step = {"quality_range": [20, 20]}
    small = cv2.resize(np.random.default_rng(0).integers(0, 255, (14, 14, 3), np.uint8), (112, 112))
    compressed = shown(small, _target_="albumentations.ImageCompression", **step)  # type: ignore[arg-type]
    assert np.abs(compressed.astype(int) - small).mean() > 2
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    found = shown(large, **camera("Compression", at_side=112, **step))
    np.testing.assert_array_equal(found, compressed.repeat(2, axis=0).repeat(2, axis=1))
    board = 128 + 20 * (-1) ** np.indices((224, 224)).sum(axis=0)
    fine = np.repeat(board.astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(shown(fine, **camera("Compression", at_side=112, **step)), fine)


@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        ("Blur", "GaussianBlur", {"sigma_limit": [0.5, 1.5]}),
        ("Noise", "GaussNoise", {"std_range": [0.02, 0.06]}),
        ("Compression", "ImageCompression", {"quality_range": [15, 60]}),
    ],
)
def test_at_the_stated_side_they_are_those_of_albumentations_and_draw_as_they_do(
    ours: str, theirs: str, arguments: dict[str, Any]
) -> None:
    size = 32
    resize = {"_target_": "albumentations.Resize", "height": size, "width": size}
    hole = {"_target_": "albumentations.CoarseDropout", "p": 1.0}
    image = cv2.resize(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8), (size, size))
    extra = {ours: camera(ours, at_side=size), theirs: {"_target_": f"albumentations.{theirs}"}}
    pipelines = [
        build_pipeline({"resize": resize, "step": {**step, **arguments, "p": 0.5}, "hole": hole}, key="transforms.x")
        for step in extra.values()
    ]
    for seed in range(20):
        first, second = (pipeline(image.astype(np.uint8), seed) for pipeline in pipelines)
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (camera("Blur", sigma_limit="soft", at_side=112), r"^transforms\.strong\.step\.sigma_limit: "),
        (camera("Noise", std_range=[0.1, 2.0], at_side=112), r"^transforms\.strong\.step\.std_range: "),
        (camera("Compression", quality_range=[0, 50], at_side=112), r"^transforms\.strong\.step\.quality_range: "),
        (
            camera("Blur", sigma_limit=[0.5, 1.0], at_side=0),
            r"^transforms\.strong\.step\.at_side: expected the side of an image in pixels, got 0",
        ),
        (camera("Blur", sigma_limit=[0.5, 1.0]), r"^transforms\.strong\.step: Blur refused its arguments .*at_side"),
    ],
)
def test_a_wrong_setting_is_one_line(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shown(np.zeros((8, 8, 3), np.uint8), **step)
