"""Files of a folder that are named by their frame, whatever comes before the number."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from faceflow.datasets.published import Recording
from faceflow.errors import DataError

log = logging.getLogger(__name__)

# Names that begin with a dot are not part of the data set: .DS_Store, and ._1.png of archives packed on a Mac.
IMAGES = re.compile(r"(?!\.)(?:.*\D)?(\d+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)
NUMBERED_IMAGES = re.compile(r"(\d+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)  # whatever the zero padding


def numbered_files(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """Files whose whole name matches by the number in the first group, in the order of the numbers.

    Args:
        folder: may hold foreign files.
        pattern: for example `IMAGES`, which reads 14 from "S010_001_00000014.png".

    Raises:
        DataError: two files with one number.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := pattern.fullmatch(path.name):
            number = int(match[1])
            if files.setdefault(number, path) != path:
                raise DataError(f"{path}: expected one file for frame {number}, got '{files[number]}' too; remove one")
    return dict(sorted(files.items()))


def image_number(name: str) -> int | None:
    """Frame number of an image file whose name is only a number; None for other names."""
    match = NUMBERED_IMAGES.fullmatch(name)
    return int(match[1]) if match else None


def numbered_images(folder: Path, labeled: Collection[int]) -> dict[int, Path]:
    """Images of a folder by the frame number that is their name, in the order of the numbers.

    Args:
        folder: may hold foreign files.
        labeled: frames with labels; if there are any, at least one must have an image.

    Raises:
        DataError: two images with one number, or no image of any labelled frame.
    """
    images = numbered_files(folder, NUMBERED_IMAGES)
    if labeled and images.keys().isdisjoint(labeled):
        got = f"{min(images)} to {max(images)}" if images else "no images"
        raise DataError(
            f"{folder}: expected images of the labelled frames {min(labeled)} to {max(labeled)}, got {got}; "
            "restore the original file names"
        )
    return images


def with_frames(data_set: str, recordings: Sequence[Recording]) -> list[Recording]:
    """Leave out recordings without images; a warning counts them.

    Raises:
        DataError: none is left.
    """
    kept = [recording for recording in recordings if recording.frames]
    empty = [recording for recording in recordings if not recording.frames]
    if not kept:
        raise DataError(
            f"{empty[0].file}: expected images of labelled frames, got none, nor in any of the {len(empty)} recordings "
            f"of {data_set}; restore the original file names"
        )
    if empty:
        log.warning(
            "%s: left out recordings without an image of a labelled frame: %d, such as %s",
            data_set,
            len(empty),
            empty[0].name,
        )
    return kept
