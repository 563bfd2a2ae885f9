"""RAF-AU (Yan et al. 2020): photographs from the web, AUs coded by experts.

    RAFAU_label.txt             lines "0001.jpg 1+2+L12" or "0001.jpg null"
    aligned/0001_aligned.jpg

L and R mark an AU on one side of the face; one without a mark is on both. An AU that a line does not list is absent;
columns are the AUs that any line lists, by side if any line marks a side. Subjects are not known.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from faceflow.aus import DESCRIPTIONS, joined, side_of
from faceflow.checks import check_choice
from faceflow.datasets.label_files import read_lines
from faceflow.datasets.layout import find, not_found, open_root
from faceflow.datasets.numbered_files import numbered_files
from faceflow.datasets.photographs import photographs
from faceflow.datasets.published import Folds, Recording
from faceflow.errors import DataError

log = logging.getLogger(__name__)

NULL = "null"
Listed = frozenset[str] | None  # AUs of a line; None: nothing was annotated

_FILE = "RAFAU_label.txt"
_FOLDER = re.compile(r"aligned", re.IGNORECASE)
_NAME = re.compile(r"(\d+)\.jpe?g", re.IGNORECASE)
_IMAGE = re.compile(r"(\d+)_aligned\.jpe?g", re.IGNORECASE)
_CODE = re.compile(r"([LR]?)(\d{1,2})", re.IGNORECASE)


class RAFAU:
    """Parser of RAF-AU."""

    name = "raf_au"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None, uncoded: str) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the label file and the images.
            uncoded: meaning of a line "null": missing (nothing was annotated) or absent (no AU is present).

        Raises:
            ConfigError: no such folder or choice.
        """
        check_choice(uncoded, key="dataset.uncoded", options=("missing", "absent"))
        self.root = open_root(root, "RAF-AU")
        self.uncoded: Listed = None if uncoded == "missing" else frozenset()

    def recordings(self) -> list[Recording]:
        """List the one folder of images; frames are the numbers in their names."""
        file = next((path for depth in ("", "*/") for path in sorted(self.root.glob(depth + _FILE))), None)
        folder = next(iter(find(self.root, _FOLDER)), None)
        listed = _read_lines(file) if file else {}
        images = numbered_files(folder, _IMAGE) if folder else {}
        numbers = sorted(listed.keys() & images.keys())
        if folder is None or not numbers:
            raise not_found("RAF-AU", f"{_FILE} and aligned/0001_aligned.jpg", self.root)
        for alone, lacking in ((images.keys() - listed.keys(), "labels"), (listed.keys() - images.keys(), "an image")):
            if alone:
                log.warning("RAF-AU: left out without %s: %d, such as %04d", lacking, len(alone), min(alone))
        aus = {au for found in listed.values() if found for au in found}
        labels = {number: self._scores(listed[number], aus) for number in numbers}
        return [photographs("aligned", folder, {number: images[number] for number in numbers}, labels)]

    def _scores(self, found: Listed, aus: Collection[str]) -> dict[str, float]:
        """Occurrence of every AU, for both sides if `aus` has one; empty if nothing was annotated."""
        listed = self.uncoded if found is None else found
        if listed is None:
            return {}
        sided = {joined(au) for au in aus if side_of(au)}
        columns = {column for au in map(joined, aus) for column in ((f"{au}_L", f"{au}_R") if au in sided else (au,))}
        return {column: float(column in listed or joined(column) in listed) for column in columns}


def _read_lines(file: Path) -> dict[int, Listed]:
    """Listed AUs by number of the image."""
    found: dict[int, Listed] = {}
    for line, text in read_lines(file):
        cells = text.split()
        image = _NAME.fullmatch(cells[0])
        if len(cells) != 2 or image is None:
            raise DataError(
                f"{file}:{line}: expected an image and its AUs as '0001.jpg 1+2+L12', got {text[:40]!r}; restore the "
                "original file"
            )
        codes = None if cells[1].lower() == NULL else _read_codes(cells[1], file, line)
        if found.setdefault(int(image[1]), codes) != codes:
            raise DataError(
                f"{file}:{line}: expected one line per image, got different AUs for {cells[0]}; keep the right one"
            )
    return found


def _read_codes(text: str, file: Path, line: int) -> frozenset[str]:
    """AUs of a text such as "1+2+L12"; codes of the head, the eyes and the view are left out."""
    aus = set()
    for code in text.split("+"):
        match = _CODE.fullmatch(code)
        if match is None:
            raise DataError(
                f"{file}:{line}: expected AUs as '1+2+L12', or {NULL}, got {text[:40]!r}; restore the original file"
            )
        if int(match[2]) in DESCRIPTIONS:
            aus.add(f"AU{int(match[2])}" + (f"_{match[1].upper()}" if match[1] else ""))
    return frozenset(aus)
