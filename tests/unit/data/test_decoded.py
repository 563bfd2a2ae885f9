"""Decoded images that are kept, with real files and real processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from faceflow.data.decoded import DecodedImages, ImageCache
from faceflow.errors import ConfigError, DataError
from faceflow.images import encode_image, read_image

GONE = "/no/such/file.png"


def make_image(path: Path, number: int) -> str:
    """One of a size of its own."""
    rng = np.random.default_rng(number)
    path.write_bytes(encode_image(rng.integers(0, 256, (4 + number, 6, 3), np.uint8), ".png"))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [make_image(tmp_path / f"{number}.png", number) for number in range(4)]


@pytest.fixture(params=["ram", "disk"])
def decoded(request: pytest.FixtureRequest, tmp_path: Path) -> DecodedImages:
    opened = ImageCache(place=request.param, gb=1, folder=str(tmp_path)).open(1.0)
    assert opened is not None
    return opened


def read_all(decoded: DecodedImages, files: list[str]) -> None:
    for row, file in enumerate(files):
        decoded.read(row, file)


def test_an_image_is_decoded_once(decoded: DecodedImages, files: list[str]) -> None:
    read_all(decoded, files)
    for row, file in enumerate(files):
        kept = decoded.read(row, GONE)
        assert np.array_equal(kept, read_image(file))
        kept[:] = 0  # what a pipeline does to it stays with the pipeline
        assert np.array_equal(decoded.read(row, GONE), read_image(file))


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_find_what_others_decoded(decoded: DecodedImages, files: list[str], method: str) -> None:
    decoded.read(3, files[3])
    context = multiprocessing.get_context(method)
    process = context.Process(target=read_all, args=(decoded, files[:2]))
    process.start()
    process.join()
    assert process.exitcode == 0
    for row in (0, 1, 3):
        assert np.array_equal(decoded.read(row, GONE), read_image(files[row]))
    with pytest.raises(DataError):
        decoded.read(2, GONE)


def test_images_that_do_not_fit_are_decoded_again(tmp_path: Path, files: list[str]) -> None:
    decoded = DecodedImages(None, limit=4 * 6 * 3 + 5 * 6 * 3)
    read_all(decoded, files)
    for row in (0, 1):
        assert np.array_equal(decoded.read(row, GONE), read_image(files[row]))
    for row in (2, 3):
        assert np.array_equal(decoded.read(row, files[row]), read_image(files[row]))
        with pytest.raises(DataError):
            decoded.read(row, GONE)


def test_too_little_room_is_reported_once_and_before(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    DecodedImages(None, limit=30 * 72).check_room(30, files[0])
    assert caplog.messages == []
    DecodedImages(None, limit=10**9).check_room(10**8, files[0])
    assert caplog.messages == [
        "loader.cache_gb: room for about 13,888,888 of 100,000,000 decoded images, 1.0 GB of 7.2; the others are "
        "decoded in every epoch"
    ]


def test_a_full_disk_is_reported_once_and_training_continues(
    files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    decoded = DecodedImages(None, limit=10**6)
    decoded._images._path = "/dev/full"
    for row, file in enumerate(files):
        assert np.array_equal(decoded.read(row, file), read_image(file))
    assert caplog.messages == ["loader.cache: no space left on device; further images are decoded in every epoch"]


def test_nothing_is_left_behind(tmp_path: Path, files: list[str]) -> None:
    before = set(tmp_path.iterdir())
    decoded = DecodedImages(tmp_path, limit=10**6)
    read_all(decoded, files)
    handles = len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0  # noqa: PTH208
    del decoded
    assert set(tmp_path.iterdir()) == before
    if handles:
        assert len(os.listdir("/proc/self/fd")) < handles  # noqa: PTH208


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"place": "rom"}, r"loader\.cache: expected none, ram, disk, got 'rom'"),
        ({"gb": 0}, r"loader\.cache_gb: expected a number of gigabytes > 0, got 0"),
        ({"folder": "/no/such"}, r"loader\.cache_folder: expected a folder, got '/no/such'; create it"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ImageCache(**({"place": "disk", "gb": 1, "folder": None} | settings))  # type: ignore[arg-type]
