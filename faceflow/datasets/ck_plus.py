"""CK+ (Lucey et al. 2010): sequences from neutral to a peak, of which the peak frame is coded.

    FACS/S010/001/S010_001_00000014_facs.txt              lines "AU intensity"
    cohn-kanade-images/S010/001/S010_001_00000014.png

The name of the label file says which frame is the peak. An intensity of 0 means that the AU is present and its
strength was not graded, so labels are occurrences. The coders looked for every AU, so one that is not listed is
absent; columns are the AUs that any file lists.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from faceflow.checks import check_choice
from faceflow.datasets.facs_files import read_facs
from faceflow.datasets.layout import find, in_both, not_found, open_root, subfolders
from faceflow.datasets.numbered_files import IMAGES, numbered_files, with_frames
from faceflow.datasets.published import Folds, Recording

_FACS = re.compile(r"FACS", re.IGNORECASE)
_IMAGES = re.compile(r"(?:extended-)?cohn-kanade-images", re.IGNORECASE)
_SEQUENCE = re.compile(r"S\d+/\d+")
_FILE = re.compile(r"(?!\.)(?:.*\D)?(\d+)_facs\.txt", re.IGNORECASE)

Peaks = Mapping[int, Mapping[str, float]]  # peak frame -> listed AU -> intensity


class CKPlus:
    """Parser of CK+."""

    name = "ck_plus"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None, frames: str) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the images and the labels.
            frames: labeled: the peak of each sequence; or all: also the frames before it, without labels.

        Raises:
            ConfigError: no such folder or choice.
        """
        check_choice(frames, key="dataset.frames", options=("labeled", "all"))
        self.root = open_root(root, "CK+")
        self.all_frames = frames == "all"

    def recordings(self) -> list[Recording]:
        """List the sequences that were coded and whose peak is here."""
        folders = subfolders(find(self.root, _FACS), _SEQUENCE)
        files = {name: numbered_files(folder, _FILE) for name, folder in folders.items()}
        peaks = {
            name: {frame: read_facs(file, frame) for frame, file in coded.items()}
            for name, coded in files.items()
            if coded
        }
        images = subfolders(find(self.root, _IMAGES), _SEQUENCE)
        names = in_both("CK+", peaks, images)
        if not names:
            layout = "FACS/S010/001/S010_001_00000014_facs.txt and cohn-kanade-images/S010/001/S010_001_00000014.png"
            raise not_found("CK+", layout, self.root)
        aus = {au for frames in peaks.values() for listed in frames.values() for au in listed}
        return with_frames("CK+", [self._read(name, peaks[name], images[name], aus) for name in names])

    def _read(self, name: str, peaks: Peaks, folder: Path, aus: Collection[str]) -> Recording:
        images = numbered_files(folder, IMAGES)
        return Recording(
            name=name,
            file=folder,
            frames={frame: path for frame, path in images.items() if frame in peaks or self.all_frames},
            subject=name.partition("/")[0],
            domain="",
            labels={frame: {au: float(au in listed) for au in aus} for frame, listed in peaks.items()},
            excluded={},
        )
