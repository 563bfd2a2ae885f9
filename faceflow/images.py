"""Image files: reading and encoding as RGB; finding broken and equal ones without decoding."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.packs.pack import CONTENTS, WHOLE, look_up, picture_in_pack
from faceflow.progress import progress_bar

T = TypeVar("T")
Image = NDArray[np.uint8]

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k"),
    *(".png", ".apng", ".gif", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
_LIMIT = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "")  # `faceflow` sets it where the user does not
MOST_PIXELS = int(_LIMIT) if _LIMIT.isdecimal() else 1 << 30

_HEADERS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"GIF8")
_JPEG2000 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_PORTABLE = re.compile(rb"P[1-6]\s")
_BOXES = b"ftyp"  # at byte 4 of formats made of boxes
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands of ISO/IEC 23008-12
_AVIF = (_BOXES + b"avif", _BOXES + b"avis")
_TURN = re.compile(rb"\x00\x00\x00\x09irot([\x00-\x03])")  # boxes of 9 bytes, ISO/IEC 23008-12, 6.5.10 and 6.5.12
_MIRROR = re.compile(rb"\x00\x00\x00\x09imir([\x00\x01])")
_TAIL_BYTES = 64
_LARGEST_META = 1 << 16  # bytes in which an AVIF file stores its rotation
_HASHED_BYTES = 1 << 16  # a face crop is smaller and is hashed whole; of a larger file, start, middle and end
_TOO_LARGE = f"an image of more than {MOST_PIXELS // 10**6} million pixels"
_NO_HEIF = "a HEIC image but no reader for it: pip install 'faceflow[heic]'"
_START_OF_PNG = b"IHDR"
_FRAMES = bytes(
    {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
)  # SOF0 to SOF15 of ITU-T T.81, table B.1, which hold the size
_REDUCED = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
_START_OF_SCAN, _END_OF_JPEG, _END_OF_PNG = b"\xff\xda", b"\xff\xd9", b"IEND"


def read_image(path: str | Path, *, shortest: int | None = None) -> Image:
    """Read an image as RGB, (H, W, 3) uint8, turned upright; of an animation, the first frame.

    Grayscale is repeated over the channels, alpha dropped, 16 bit reduced to 8. The format is read from the content,
    not from the name. Every path in this module can be that of an image in a packed set, see `packs.layout`.

    Args:
        path: of the file.
        shortest: pixels. A JPEG is decoded at the smallest of its full, half, quarter and eighth size whose sides are
            both at least this long; skipping the other coefficients of its cosine transform saves time.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    image, fault = decode_image(path, shortest=shortest)
    if image is None:
        raise DataError(f"{path}: expected an image, got {fault}; replace the file or remove its row")
    return image


def decode_image(path: str | Path, *, shortest: int | None = None) -> tuple[Image | None, str | None]:
    """Read an image as `read_image` does, or return what is wrong with it."""
    try:
        content = read_content(path)
        # Not cv2.imread: on Windows it cannot open non-ASCII paths.
        reduced = _REDUCED.get(_reduction(content, shortest), 0) if shortest else 0
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | reduced)
        if pixels is not None:
            image = np.asarray(pixels, np.uint8)
            return (_upright(image, content) if content[4:8] == _BOXES else image), None
        if _is_heif(content):
            return _decode_heif(content)
    except OSError as error:
        return None, find_fault(path) or str(error.strerror).lower()
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            return None, _TOO_LARGE
        if error.code == cv2.Error.STS_NO_MEM:
            return None, "an image too large for the memory of this machine"
    return None, find_fault(path) or "an image that OpenCV cannot decode"


def read_content(path: str | Path) -> bytes:
    """Read the bytes of an image as they are stored.

    Raises:
        OSError: they cannot be read.
        DataError: its packed set is damaged.
    """
    with _open(path) as file:
        return file.read()


def encode_image(image: Image, suffix: str, *, quality: int = 95) -> bytes:
    """Encode an image as the content of a file.

    Args:
        image: RGB, (H, W, 3).
        suffix: of the file; it selects the format.
        quality: of a JPEG, 1 to 100; ignored by other formats.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    encoded, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert encoded, "OpenCV encodes every 8-bit RGB image"
    return content.tobytes()


def find_fault(path: str | Path) -> str | None:
    """Describe what is wrong with an image file, judging by its first and last bytes; None if nothing is."""
    try:
        packed = picture_in_pack(path)
        if packed is not None and packed[0].index[WHOLE, packed[1]]:
            return None
        with _open(path) as file:
            return fault_of(file)
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return str(error.strerror).lower()


def fault_of(file: IO[bytes]) -> str | None:
    """Describe what is wrong with an open image; see `find_fault`."""
    head = file.read(24)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    if size == 0:
        return "an empty file"
    if _is_heif(head):
        return None if importlib.util.find_spec("pillow_heif") else _NO_HEIF
    if not (head.startswith((*_HEADERS, *_JPEG2000)) or _PORTABLE.match(head) or head[4:12] in _AVIF):
        return "a file that is not a JPEG, PNG or other readable image"
    if head[12:16] == _START_OF_PNG and int.from_bytes(head[16:20]) * int.from_bytes(head[20:24]) > MOST_PIXELS:
        return _TOO_LARGE
    truncated_jpeg = head.startswith(_HEADERS[0]) and _END_OF_JPEG not in tail and not _jpeg_ends(file)
    truncated_png = head.startswith(_HEADERS[1]) and _END_OF_PNG not in tail and not _png_ends(file)
    return "a truncated image" if truncated_jpeg or truncated_png else None


def find_faults(paths: Sequence[str | Path]) -> dict[int, str]:
    """Check many image files; return the fault of each broken one by position in `paths`."""
    places = np.flatnonzero(~look_up(paths)[0]).tolist()
    faults = _of_each([paths[place] for place in places], find_fault, "Checking images")
    return {place: fault for place, fault in zip(places, faults, strict=True) if fault}


def hash_contents(paths: Sequence[str | Path]) -> NDArray[np.int64]:
    """Hash the contents of files, (N,): links to a file and copies of it have the same hash, wherever they are.

    For files above 64 KiB, only their size and three samples of their bytes are hashed.

    Raises:
        DataError: a file cannot be read.
    """
    known, hashes = look_up(paths)
    places = np.flatnonzero(~known)
    hashes[places] = _of_each([paths[place] for place in places.tolist()], hash_content, "Comparing images")
    return hashes


def hash_content(path: str | Path) -> int:
    """Hash the content of a file; see `hash_contents`."""
    try:
        if packed := picture_in_pack(path):
            return int(packed[0].index[CONTENTS, packed[1]])
        with _open(path) as file:
            return hash_of(file)
    except OSError as error:
        raise DataError(
            f"{path}: expected an image that can be read, got '{error.strerror}'; check the file"
        ) from error


def hash_of(file: IO[bytes]) -> int:
    """Hash the content of an open image; see `hash_contents`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=8)
    if size <= _HASHED_BYTES:
        digest.update(file.read())
    else:
        part = _HASHED_BYTES // 4
        for start, count in ((0, part), ((size - 2 * part) // 2, 2 * part), (size - part, part)):
            file.seek(start)
            digest.update(file.read(count))
    return int.from_bytes(digest.digest(), "little", signed=True)


def _open(path: str | Path) -> IO[bytes]:
    """Open an image for reading: a file, or an image in a packed set."""
    if packed := picture_in_pack(path):
        return io.BytesIO(packed[0].content(packed[1]))
    return open(path, "rb", buffering=0)  # noqa: PTH123  (a Path costs more than the read)


def _of_each(paths: Sequence[str | Path], judge: Callable[[str | Path], T], title: str) -> list[T]:
    """Results of a function for many files, in order; 126,000 files take seconds, so a terminal shows progress."""
    # A task per file would cost more than reading it.
    batches = [paths[start : start + 256] for start in range(0, len(paths), 256)]
    results: list[T] = []
    with ThreadPoolExecutor(max_workers=8) as pool, progress_bar(title, len(paths), unit="files") as bar:
        for batch in pool.map(lambda batch: [judge(path) for path in batch], batches):
            results += batch
            bar.advance(len(batch))
    return results


def _reduction(content: bytes, shortest: int) -> int:
    """Largest of 1, 2, 4 and 8 that a JPEG can be divided by so that no side is shorter; 1 for other formats."""
    place = 2
    while content.startswith(_HEADERS[0]) and content[place : place + 1] == b"\xff" and len(content) > place + 9:
        if content[place + 1] in _FRAMES:
            sides = int.from_bytes(content[place + 5 : place + 7]), int.from_bytes(content[place + 7 : place + 9])
            return max(scale for scale in (1, *_REDUCED) if scale == 1 or min(sides) >= scale * shortest)
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return 1


def _jpeg_ends(file: IO[bytes]) -> bool:
    """Whether the image data is complete, followed by other data that a phone or camera appended."""
    file.seek(0)
    content = file.read()
    # An embedded thumbnail has an end marker too, but the scan of the image comes after it.
    return content.rfind(_END_OF_JPEG) > content.rfind(_START_OF_SCAN)


def _png_ends(file: IO[bytes]) -> bool:
    file.seek(0)
    return _END_OF_PNG in file.read()


def _is_heif(content: bytes) -> bool:
    return content[4:8] == _BOXES and content[8:12] in _HEIF


def _decode_heif(content: bytes) -> tuple[Image | None, str | None]:
    """Decode an image of ISO/IEC 23008-12; libheif turns it upright."""
    if importlib.util.find_spec("pillow_heif") is None:
        return None, _NO_HEIF
    import pillow_heif

    try:
        found = pillow_heif.open_heif(content)
        if found.size[0] * found.size[1] > MOST_PIXELS:
            return None, _TOO_LARGE
        pixels = np.asarray(found)
    except (ValueError, OSError, RuntimeError, SyntaxError, EOFError, MemoryError) as error:
        return None, f"a HEIC image that libheif cannot decode ({' '.join(str(error).split())})"
    rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels[..., :3]
    return np.ascontiguousarray(rgb, np.uint8), None


def _upright(image: Image, content: bytes) -> Image:
    """Rotate and mirror an AVIF image as its metadata say; OpenCV does not."""
    turn, mirror = _TURN.search(content, 0, _LARGEST_META), _MIRROR.search(content, 0, _LARGEST_META)
    if turn:
        image = np.rot90(image, turn[1][0])
    if mirror:
        image = np.flip(image, mirror[1][0])
    return np.ascontiguousarray(image)
