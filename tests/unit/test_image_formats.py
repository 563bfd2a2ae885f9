"""Common image formats, written by Pillow: what is read from each, and the error for other files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceflow.errors import DataError
from faceflow.images import IMAGE_SUFFIXES, decode_image, encode_image, find_fault, read_image

LEFT, RIGHT = (200, 30, 30), (30, 30, 200)
HALVES = np.full((48, 64, 3), LEFT, np.uint8)
HALVES[:, 32:] = RIGHT
PICTURE = Image.fromarray(HALVES)


def saved(format: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    file = io.BytesIO()
    picture.copy().save(file, format, **options)  # a copy, as Pillow remembers options of a picture that it saved
    return file.getvalue()


def two(format: str) -> bytes:
    """Two pictures in one file, the second one mirrored."""
    return saved(format, save_all=True, append_images=[PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])


def heic(picture: Image.Image = PICTURE) -> bytes:
    package = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    package.from_pillow(picture).save(file, quality=95)
    return file.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "jfif": lambda: saved("JPEG"),
    "jpe": lambda: saved("JPEG", progressive=True),
    "mpo": lambda: two("MPO"),
    "jpg of four inks": lambda: saved("JPEG", PICTURE.convert("CMYK")),
    "jp2": lambda: saved("JPEG2000"),
    "j2k": lambda: saved("JPEG2000", no_jp2=True),
    "apng": lambda: two("PNG"),
    "gif": lambda: two("GIF"),
    "webp": lambda: two("WEBP"),
    "avif": lambda: saved("AVIF"),
    "avif of two frames": lambda: two("AVIF"),
    "heic": heic,
    "heic with alpha": lambda: heic(PICTURE.convert("RGBA")),
    "tif of two pages": lambda: two("TIFF"),
    "ppm": lambda: saved("PPM"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_its_first_picture(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind.split()[0]}"
    assert path.suffix in IMAGE_SUFFIXES
    path.write_bytes(KINDS[kind]())
    assert find_fault(path) is None
    image = read_image(path)
    assert (image.shape, image.dtype) == (HALVES.shape, np.uint8)
    np.testing.assert_allclose(image[:, :28], np.broadcast_to(LEFT, (48, 28, 3)), atol=8)
    np.testing.assert_allclose(image[:, 36:], np.broadcast_to(RIGHT, (48, 28, 3)), atol=8)


@pytest.mark.parametrize(("kind", "format"), [("pgm", "PPM"), ("heic", "HEIC"), ("avif", "AVIF")])
def test_grey_pictures_repeat_over_the_channels(kind: str, format: str, tmp_path: Path) -> None:
    grey = PICTURE.convert("L")
    path = tmp_path / f"a.{kind}"
    path.write_bytes(heic(grey) if format == "HEIC" else saved(format, grey))
    image = read_image(path)
    assert image.shape == HALVES.shape
    np.testing.assert_allclose(image, np.repeat(np.asarray(grey)[..., None], 3, axis=2), atol=8)


@pytest.mark.parametrize("kind", ["jfif", "gif", "jp2", "avif", "heic", "ppm"])
def test_a_picture_under_the_name_of_another_kind_is_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(KINDS[kind]())
    assert find_fault(tmp_path / "a.png") is None
    assert read_image(tmp_path / "a.png").shape == HALVES.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_pictures_are_turned_upright_as_pillow_turns_them(format: str, orientation: int, tmp_path: Path) -> None:
    quarters = HALVES.copy()
    quarters[24:, :32] = (30, 200, 30)
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(format, Image.fromarray(quarters), exif=exif.tobytes()))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    image = read_image(path)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 3


def test_a_heic_picture_is_turned_once(tmp_path: Path) -> None:
    package = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x112] = 6  # the camera was turned: clockwise
    file = io.BytesIO()
    package.from_pillow(PICTURE).save(file, quality=95, exif=exif.tobytes())
    (tmp_path / "a.heic").write_bytes(file.getvalue())
    image = read_image(tmp_path / "a.heic")
    assert image.shape == (64, 48, 3)
    np.testing.assert_allclose(image[:28], np.broadcast_to(LEFT, (28, 48, 3)), atol=8)


def test_without_its_package_a_heic_picture_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.heic").write_bytes(heic())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as Python says that it is not installed
    line = "a HEIC image but no reader for it: pip install 'faceflow[heic]'"
    assert find_fault(tmp_path / "a.heic") == line
    with pytest.raises(DataError, match=r"a\.heic: expected an image, got a HEIC image but no reader for it"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_heic_picture_that_is_cut_off_is_a_fault(kept: float, tmp_path: Path) -> None:
    content = heic()
    (tmp_path / "a.heic").write_bytes(content[: int(kept * len(content))])
    image, fault = decode_image(tmp_path / "a.heic")
    assert image is None
    assert fault is not None
    assert fault.startswith("a HEIC image that libheif cannot decode (")
    assert "\n" not in fault


def sized(content: bytes, place: int, digits: int, order: str) -> bytes:
    """Write another width and height, 40,000 each, into a header."""
    side = (40_000).to_bytes(digits, order)  # type: ignore[arg-type]
    return content[:place] + 2 * side + content[place + 2 * digits :]


def test_a_picture_of_absurd_size_is_a_fault_before_it_fills_the_memory(tmp_path: Path) -> None:
    png, jpeg = encode_image(HALVES, ".png"), encode_image(HALVES, ".jpg")
    (tmp_path / "a.png").write_bytes(sized(png, 16, 4, "big"))
    (tmp_path / "a.jpg").write_bytes(sized(jpeg, jpeg.index(b"\xff\xc0") + 5, 2, "big"))
    (tmp_path / "a.gif").write_bytes(sized(saved("GIF"), 6, 2, "little"))
    expected = (None, "an image of more than 268 million pixels")
    assert [decode_image(tmp_path / f"a.{kind}") for kind in ("png", "jpg", "gif")] == [expected] * 3
    assert find_fault(tmp_path / "a.png") == expected[1], "told by the header, for training sets"
