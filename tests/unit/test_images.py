from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceflow.errors import DataError
from faceflow.images import encode_image, find_fault, find_faults, hash_contents, read_image
from tests.helpers.faces import smooth_image, write_image

RGB = smooth_image(np.random.default_rng(0), 40)[:30]  # 30 high, 40 wide


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, cv2.cvtColor(RGB, cv2.COLOR_RGB2BGR))[1])


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Put an EXIF segment with one entry, tag 0x0112, after the start marker."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    exif = b"Exif\x00\x00" + b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_png_pixels_come_back_as_rgb(tmp_path: Path) -> None:
    image = read_image(written(tmp_path / "a.png", encoded(".png")))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize("name", ["Grüße.png", "顔/スマイル.png", "a\udcff.png"])  # the last: bytes that are no UTF-8
def test_names_beyond_ascii_are_read_and_told_apart_like_others(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    path = written(tmp_path / name, encoded(".png"))
    np.testing.assert_array_equal(read_image(path), RGB)
    np.testing.assert_array_equal(read_image(str(path)), RGB)
    assert find_fault(path) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".avif"])
def test_encoded_images_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", encode_image(RGB, suffix, quality=90))
    assert np.abs(read_image(path).astype(int) - RGB).mean() < 8  # lossy formats


def test_quality_decides_about_the_size_of_a_jpeg_alone() -> None:
    assert len(encode_image(RGB, ".jpg", quality=20)) < len(encode_image(RGB, ".jpg", quality=95))
    assert encode_image(RGB, ".png", quality=20) == encode_image(RGB, ".png", quality=95)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
def test_common_formats_are_whole_and_readable(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", encoded(suffix))
    assert find_fault(path) is None
    difference = np.abs(read_image(path).astype(int) - RGB)
    assert difference.mean() < 8  # lossy formats; swapped channels differ by far more
    assert np.abs(RGB[..., ::-1].astype(int) - RGB).mean() > 30


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = written(tmp_path / "png_in_disguise.jpg", encoded(".png"))
    assert find_fault(path) is None
    np.testing.assert_array_equal(read_image(path), RGB)


def test_grayscale_repeats_over_the_channels(tmp_path: Path) -> None:
    gray = RGB[..., 0]
    assert cv2.imwrite(str(tmp_path / "gray.png"), gray)
    image = read_image(tmp_path / "gray.png")
    np.testing.assert_array_equal(image, np.repeat(gray[..., None], 3, axis=2))


def test_alpha_is_dropped_and_transparent_pixels_keep_their_colour(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    assert cv2.imwrite(str(tmp_path / "rgba.png"), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), RGB)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_the_upper_eight(tmp_path: Path, channels: int) -> None:
    deep = np.linspace(0, 65535, 30 * 40 * channels).astype(np.uint16).reshape(30, 40, channels)
    assert cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    image = read_image(tmp_path / "deep.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.broadcast_to(deep >> 8, (30, 40, 3)))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda image: image),
        (2, lambda image: image[:, ::-1]),
        (3, lambda image: np.rot90(image, 2)),
        (6, lambda image: np.rot90(image, -1)),  # the camera was turned: rotate clockwise
        (8, lambda image: np.rot90(image, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, upright) -> None:  # type: ignore[no-untyped-def]
    stored = read_image(written(tmp_path / "stored.jpg", encoded(".jpg")))
    image = read_image(written(tmp_path / "turned.jpg", with_orientation(encoded(".jpg"), orientation)))
    np.testing.assert_array_equal(image, upright(stored))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("zero.jpg", b"", "an empty file"),
        ("text.jpg", b"not an image at all, but a text", "a file that is not a JPEG, PNG or other readable image"),
        ("half.jpg", encoded(".jpg")[:400], "a truncated image"),
        ("end.jpg", encoded(".jpg")[:-2], "a truncated image"),
        ("half.png", encoded(".png")[:400], "a truncated image"),
        ("end.png", encoded(".png")[:-12], "a truncated image"),
    ],
)
def test_a_broken_file_is_told_by_its_ends(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    assert find_fault(written(tmp_path / name, content)) == fault


def test_a_missing_file_a_folder_and_a_file_as_folder_are_faults(tmp_path: Path) -> None:
    written(tmp_path / "a.jpg", encoded(".jpg"))
    assert find_fault(tmp_path / "nope.jpg") == "no such file"
    assert find_fault(tmp_path) == "is a directory"
    assert find_fault(tmp_path / "a.jpg" / "b.jpg") == "not a directory"
    assert find_fault(tmp_path / ("x" * 300)) == "file name too long"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_data_that_a_phone_appends_is_no_fault(tmp_path: Path, suffix: str) -> None:
    content = encoded(suffix) + b"SEFT" + bytes(300)
    assert find_fault(written(tmp_path / f"a{suffix}", content)) is None


def test_the_end_of_a_thumbnail_does_not_hide_a_truncation(tmp_path: Path) -> None:
    thumbnail = encoded(".jpg")
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = encoded(".jpg")
    content = whole[:2] + segment + whole[2:]
    assert find_fault(written(tmp_path / "whole.jpg", content)) is None
    assert find_fault(written(tmp_path / "cut.jpg", content[:-100])) == "a truncated image"


def test_faults_of_many_files_are_keyed_by_position(tmp_path: Path) -> None:
    write_image(tmp_path / "good.png", RGB)
    written(tmp_path / "zero.jpg", b"")
    paths = [tmp_path / "good.png", tmp_path / "zero.jpg", tmp_path / "good.png", tmp_path / "nope.jpg"]
    assert find_faults(paths) == {1: "an empty file", 3: "no such file"}
    many = find_faults(paths * 200)
    assert list(many) == [position for position in range(800) if position % 2]
    assert many[601] == "an empty file"
    assert find_faults([]) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "an empty file"),
        (b"text", "a file that is not a JPEG, PNG or other readable image"),
        (encoded(".png")[:400], "a truncated image"),
        (b"\x89PNG\r\n\x1a\n" + b"IEND" * 20, "an image that OpenCV cannot decode"),
    ],
    ids=["missing", "zero", "text", "truncated", "garbage"],
)
def test_an_unreadable_image_is_an_error_that_names_it_and_why(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "face.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: expected an image, got {reason}; ")


def test_equal_contents_have_equal_hashes_under_any_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small, large = rng.bytes(1000), rng.bytes(300_000)
    (tmp_path / "a.jpg").write_bytes(small)
    (tmp_path / "b.png").write_bytes(small)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "large.jpg").write_bytes(large)
    (tmp_path / "copy.jpg").write_bytes(large)
    names = ["a.jpg", "b.png", "link.jpg", "large.jpg", "copy.jpg"]
    first, second, link, big, copy = hash_contents([tmp_path / name for name in names]).tolist()
    assert first == second == link != big == copy


@pytest.mark.parametrize("place", [0, 150_000, 299_999])
@pytest.mark.parametrize("size", [1000, 300_000])
def test_other_contents_have_other_hashes(tmp_path: Path, size: int, place: int) -> None:
    content = bytearray(np.random.default_rng(0).bytes(size))
    (tmp_path / "a.jpg").write_bytes(content)
    content[min(place, size - 1)] ^= 1
    (tmp_path / "b.jpg").write_bytes(content)
    (tmp_path / "c.jpg").write_bytes(content[:-1])
    assert len(set(hash_contents([tmp_path / f"{name}.jpg" for name in "abc"]).tolist())) == 3


def test_a_file_that_cannot_be_hashed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nope.jpg: expected an image that can be read, got 'No such file"):
        hash_contents([tmp_path / "nope.jpg"])


@pytest.mark.parametrize(
    ("shortest", "size"), [(None, (240, 320)), (121, (240, 320)), (120, (120, 160)), (60, (60, 80)), (9, (30, 40))]
)
def test_a_jpeg_is_decoded_no_larger_than_needed(tmp_path: Path, shortest: int | None, size: tuple[int, int]) -> None:
    whole = cv2.resize(RGB, (320, 240), interpolation=cv2.INTER_CUBIC)
    path = written(tmp_path / "a.jpg", with_orientation(encode_image(np.asarray(whole, np.uint8), ".jpg"), 1))
    image = read_image(path, shortest=shortest)
    assert image.shape == (*size, 3)
    smaller = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - smaller).mean() < 2.5


def test_an_incomplete_jpeg_is_decoded_as_before(tmp_path: Path) -> None:
    png = written(tmp_path / "a.png", encoded(".png"))
    np.testing.assert_array_equal(read_image(png, shortest=2), RGB)
    jpeg = encode_image(RGB, ".jpg")
    for end in range(4, 40):
        with pytest.raises(DataError, match="truncated image"):
            read_image(written(tmp_path / "a.jpg", jpeg[:end]), shortest=2)
