"""UNBC-McMaster Shoulder Pain Archive (Lucey et al. 2011): 25 patients, 10 AUs coded in every frame.

    Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt   lines "AU intensity x y"; empty: neutral
    Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png

AU43 (eyes closed) is coded only as present, the others are graded 0-5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from faceflow.checks import check_choice
from faceflow.datasets.facs_files import read_facs
from faceflow.datasets.layout import find, in_both, not_found, open_root, subfolders
from faceflow.datasets.numbered_files import IMAGES, numbered_files, with_frames
from faceflow.datasets.published import Folds, Recording

GRADED = ("AU4", "AU6", "AU7", "AU9", "AU10", "AU12", "AU20", "AU25", "AU26")
AUS = (*GRADED, "AU43")

_LABELS = re.compile(r"Frame_?Labels", re.IGNORECASE)
_FACS = re.compile(r"FACS", re.IGNORECASE)
_IMAGES = re.compile(r"Images", re.IGNORECASE)
_SEQUENCE = re.compile(r"[^./][^/]*/[^./][^/]*")
_FILE = re.compile(r"(?!\.)(?:.*\D)?(\d+)_facs\.txt", re.IGNORECASE)


class UNBC:
    """Parser of UNBC-McMaster."""

    name = "unbc"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None, labels: str) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the images and the labels.
            labels: intensity of nine AUs, or occurrence of ten.

        Raises:
            ConfigError: no such folder or choice.
        """
        check_choice(labels, key="dataset.labels", options=("intensity", "occurrence"))
        self.root = open_root(root, "UNBC-McMaster")
        self.score = _intensities if labels == "intensity" else _occurrences

    def recordings(self) -> list[Recording]:
        """List the sequences that have labels and images; images without a label file are left out."""
        places = [folder for place in find(self.root, _LABELS) for folder in find(place, _FACS)]
        labels = subfolders(places, _SEQUENCE)
        images = subfolders(find(self.root, _IMAGES), _SEQUENCE)
        names = in_both("UNBC-McMaster", labels, images)
        if not names:
            layout = "Frame_Labels/FACS/042-ll042/SEQUENCE/001_facs.txt and Images/042-ll042/SEQUENCE/001.png"
            raise not_found("UNBC-McMaster", layout, self.root)
        return with_frames("UNBC-McMaster", [self._read(name, labels[name], images[name]) for name in names])

    def _read(self, name: str, folder: Path, images: Path) -> Recording:
        files = numbered_files(folder, _FILE)
        return Recording(
            name=name,
            file=images,
            frames={frame: path for frame, path in numbered_files(images, IMAGES).items() if frame in files},
            subject=name.partition("/")[0],
            domain="",
            labels={frame: self.score(read_facs(file, frame)) for frame, file in files.items()},
            excluded={},
        )


def _intensities(listed: Mapping[str, float]) -> dict[str, float]:
    """Intensities of the graded AUs: 0 where an AU is not listed, absent where its strength was not graded."""
    return {au: listed.get(au, 0.0) for au in GRADED if listed.get(au) != 0}


def _occurrences(listed: Mapping[str, float]) -> dict[str, float]:
    return {au: float(au in listed) for au in AUS}
