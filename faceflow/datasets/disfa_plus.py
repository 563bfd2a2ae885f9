"""DISFA+ (Mavadati et al. 2016): posed and spontaneous expressions, 12 AUs graded 0-5 in every frame.

    Labels/SN001/<trial>/AU1.txt    lines "000.jpg 2", "#" starts a comment
    Images/SN001/<trial>/000.jpg

Its nine subjects are also in DISFA, under the same names: to use both, give both data sets the same `identities`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from faceflow.datasets.disfa import AUS, INTENSITY
from faceflow.datasets.label_files import by_frame, read_scores
from faceflow.datasets.layout import find, in_both, index_files, not_found, open_root, subfolders
from faceflow.datasets.numbered_files import image_number, numbered_images
from faceflow.datasets.published import File, Folds, Recording

_LABELS = re.compile(r"labels?", re.IGNORECASE)
_IMAGES = re.compile(r"images?", re.IGNORECASE)
_TRIAL = re.compile(r"SN\d{3}/.+")
_AU = re.compile(r"au(\d{1,2})\.txt", re.IGNORECASE)


class DISFAPlus:
    """Parser of DISFA+; an AU without a file in a trial was not annotated there."""

    name = "disfa_plus"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None) -> None:
        """Choose the folder that holds `Labels` and `Images`.

        Raises:
            ConfigError: no such folder.
        """
        self.root = open_root(root, "DISFA+")

    def recordings(self) -> list[Recording]:
        """List the trials that have labels and images."""
        folders = subfolders(find(self.root, _LABELS), _TRIAL)
        files = {name: files for name, folder in folders.items() if (files := index_files([folder], _read_au))}
        images = subfolders(find(self.root, _IMAGES), _TRIAL)
        names = in_both("DISFA+", files, images)
        if not names:
            raise not_found("DISFA+", "Labels/SN001/TRIAL/AU1.txt and Images/SN001/TRIAL/000.jpg", self.root)
        return [_read_trial(name, files[name], images[name]) for name in names]


def _read_au(name: str) -> int | None:
    match = _AU.fullmatch(name)
    return int(match[1]) if match and int(match[1]) in AUS else None


def _read_trial(name: str, files: Mapping[int, File], images: Path) -> Recording:
    scores = {
        f"AU{au}": read_scores(files[au], INTENSITY, separator=None, frame_of=image_number) for au in sorted(files)
    }
    labels = by_frame(scores)
    return Recording(
        name=name,
        file=images,
        frames=numbered_images(images, labels),
        subject=name.partition("/")[0],
        domain="",
        labels=labels,
        excluded={},
    )
