"""Image files: read and encoded as RGB; broken ones told apart and equal ones together without decoding them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.progress import progress_bar

T = TypeVar("T")
Image = NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_HEADERS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"GIF8")
_TAIL_BYTES = 64
_HASHED_BYTES = 1 << 16  # a face crop is smaller and hashed whole; of a larger file its start, middle and end
_START_OF_SCAN, _END_OF_JPEG, _END_OF_PNG = b"\xff\xda", b"\xff\xd9", b"IEND"


def read_image(path: str | Path) -> Image:
    """Read an image as RGB, (H, W, 3) uint8, turned upright by its EXIF tag.

    Grayscale is repeated over the channels, alpha dropped, 16 bit reduced to 8.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    pixels = None
    with contextlib.suppress(OSError, cv2.error):  # cv2.error: a file of zero bytes
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a Path costs more than the read)
            content = np.frombuffer(file.readall(), np.uint8)
        # Not cv2.imread: on Windows it cannot open paths beyond ASCII.
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        reason = find_fault(path) or "an image that OpenCV cannot decode"
        raise DataError(f"{path}: expected an image, got {reason}; replace the file or remove its row")
    return np.asarray(pixels, np.uint8)


def encode_image(image: Image, suffix: str, *, quality: int = 95) -> bytes:
    """Content of an image file.

    Args:
        image: RGB, (H, W, 3).
        suffix: of the file, which names its format.
        quality: of a JPEG, 1 to 100; other formats have none.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    encoded, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert encoded, "OpenCV encodes every 8-bit RGB image"
    return content.tobytes()


def find_fault(path: str | Path) -> str | None:
    """Say what is wrong with an image file as far as its first and last bytes tell, or None."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a Path costs more than the read)
            head = file.read(16)
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return str(error.strerror).lower()
    if size == 0:
        return "a file of zero bytes"
    if not head.startswith(_HEADERS):
        return "a file that is no JPEG, PNG, BMP, WebP or TIFF image"
    truncated_jpeg = head.startswith(_HEADERS[0]) and _END_OF_JPEG not in tail and not _jpeg_ends(path)
    truncated_png = head.startswith(_HEADERS[1]) and _END_OF_PNG not in tail and not _png_ends(path)
    return "a truncated image" if truncated_jpeg or truncated_png else None


def find_faults(paths: Sequence[str | Path]) -> dict[int, str]:
    """Check many image files; returns the fault of each broken one by its position in `paths`."""
    faults = _of_each(paths, find_fault, "Checking images")
    return {position: fault for position, fault in enumerate(faults) if fault}


def hash_contents(paths: Sequence[str | Path]) -> NDArray[np.int64]:
    """Hash what the files hold, (N,): links to a file and copies of it have its hash, wherever they lie.

    Files above 64 KiB are told apart by their size and three samples of their bytes.

    Raises:
        DataError: a file that cannot be read.
    """
    return np.asarray(_of_each(paths, _hash_content, "Comparing images"), np.int64)


def _of_each(paths: Sequence[str | Path], judge: Callable[[str | Path], T], title: str) -> list[T]:
    """Results of a function for many files, in their order; 126,000 files take seconds, so a terminal sees progress."""
    # A task per file would cost more than reading it.
    batches = [paths[start : start + 256] for start in range(0, len(paths), 256)]
    results: list[T] = []
    with ThreadPoolExecutor(max_workers=8) as pool, progress_bar(title, len(paths), unit="files") as bar:
        for batch in pool.map(lambda batch: [judge(path) for path in batch], batches):
            results += batch
            bar.advance(len(batch))
    return results


def _hash_content(path: str | Path) -> int:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a Path costs more than the read)
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=8)
            if size <= _HASHED_BYTES:
                digest.update(file.readall())
            else:
                part = _HASHED_BYTES // 4
                for start, count in ((0, part), ((size - 2 * part) // 2, 2 * part), (size - part, part)):
                    file.seek(start)
                    digest.update(file.read(count))
    except OSError as error:
        raise DataError(
            f"{path}: expected an image that can be read, got '{error.strerror}'; check the file"
        ) from error
    return int.from_bytes(digest.digest(), "little", signed=True)


def _jpeg_ends(path: str | Path) -> bool:
    """Whether the pixels end before other data that a phone or a camera appended."""
    content = Path(path).read_bytes()
    # An embedded thumbnail has an end marker too, but the scan of the image comes after it.
    return content.rfind(_END_OF_JPEG) > content.rfind(_START_OF_SCAN)


def _png_ends(path: str | Path) -> bool:
    return _END_OF_PNG in Path(path).read_bytes()
