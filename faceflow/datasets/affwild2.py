"""Aff-Wild2 (Kollias and Zafeiriou 2019) as in the ABAW challenges: 12 AUs in the frames of videos from the web.

    AU_Detection_Challenge/Train_Set/video1.txt         header "AU1,AU2,...", then a row of 0, 1 or -1 per frame
    AU_Detection_Challenge/Validation_Set/video2_left.txt
    cropped_aligned/video1/00001.jpg                    crops that come with the data

Row n below the header is frame n, which is crop n; -1 means that the AU was not annotated, and crops are missing where
the data set's own detector found no face. A video of two subjects has label files and folders of crops that end in
`_left` and `_right`: each of them shows one subject throughout and counts as a subject of its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from faceflow.aus import parse_column
from faceflow.checks import check_choice
from faceflow.datasets.label_files import Codes, read_code, read_lines
from faceflow.datasets.layout import find, in_both, not_found, open_root
from faceflow.datasets.numbered_files import numbered_files, with_frames
from faceflow.datasets.published import Folds, Recording
from faceflow.errors import DataError

log = logging.getLogger(__name__)

OCCURRENCE = Codes(highest=1, missing=-1)
Rows = Sequence[Mapping[str, float]]  # of every frame, without missing labels

_LABELS = re.compile(r"AU_(?:Detection_Challenge|Set)", re.IGNORECASE)
_TRAIN = re.compile(r"Train(?:ing)?_?Set", re.IGNORECASE)
_VALIDATION = re.compile(r"Val(?:idation)?_?Set", re.IGNORECASE)
_CROPS = re.compile(r"cropped_aligned", re.IGNORECASE)
_CROP = re.compile(r"(\d+)\.jpe?g", re.IGNORECASE)


class AffWild2:
    """Parser of Aff-Wild2's AU set."""

    name = "affwild2"

    def __init__(self, *, root: str | None, frames: str) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the crops and the labels.
            frames: labeled, or all: also crops of frames that were not annotated.

        Raises:
            ConfigError: no such folder or choice.
        """
        check_choice(frames, key="dataset.frames", options=("labeled", "all"))
        self.root = open_root(root, "Aff-Wild2")
        self.all_frames = frames == "all"

    @property
    def folds(self) -> Folds:
        """The challenge's split: its validation set is the test set, because the labels of its own are secret."""
        subjects = tuple(sorted(path.stem for path in self._label_files(_VALIDATION)))
        return {"abaw": {"validation": subjects}} if subjects else {}

    def recordings(self) -> list[Recording]:
        """List the videos, or subjects in them, that have labels and crops."""
        files: dict[str, Path] = {}
        for part in (_TRAIN, _VALIDATION):
            for path in self._label_files(part):
                if files.setdefault(path.stem, path) != path:
                    raise DataError(
                        f"{path}: expected each video in one set, got it also as '{files[path.stem]}'; remove one"
                    )
        folders = {folder.name: folder for place in find(self.root, _CROPS) for folder in sorted(place.glob("*/"))}
        names = in_both("Aff-Wild2", files, folders)
        if not names:
            layout = "AU_Detection_Challenge/Train_Set/video1.txt and cropped_aligned/video1/00001.jpg"
            raise not_found("Aff-Wild2", layout, self.root)
        rows = {name: _read_rows(files[name]) for name in names}
        crops = {name: _find_crops(folders[name]) for name in names}
        if late := [name for name in names if max(crops[name], default=0) > len(rows[name])]:
            log.warning("Aff-Wild2: videos with crops after their last label: %d, such as %s", len(late), late[0])
        return with_frames("Aff-Wild2", [self._recording(folders[name], crops[name], rows[name]) for name in names])

    def _label_files(self, part: re.Pattern[str]) -> Iterator[Path]:
        for place in find(self.root, _LABELS):
            for folder in find(place, part):
                yield from sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))

    def _recording(self, folder: Path, crops: Mapping[int, Path], rows: Rows) -> Recording:
        labels = {frame: row for frame, row in enumerate(rows, 1) if row}
        return Recording(
            name=folder.name,
            file=folder,
            frames={frame: path for frame, path in crops.items() if frame in labels or self.all_frames},
            subject=folder.name,
            domain="",
            labels=labels,
            excluded={},
        )


def _find_crops(folder: Path) -> dict[int, Path]:
    crops = numbered_files(folder, _CROP)
    if 0 in crops:
        raise DataError(
            f"{crops[0]}: expected crops counted from 1, got frame 0; use the crops that come with the data, where "
            "00001.jpg is the first frame"
        )
    return crops


def _read_rows(file: Path) -> Rows:
    lines = read_lines(file)
    first, header = next(lines, (1, ""))
    columns = [parse_column(cell) for cell in header.split(",")]
    aus = [column.au for column in columns if column]
    if len(aus) != len(columns) or len(set(aus)) != len(aus):
        raise DataError(f"{file}:{first}: expected a header of AUs, got {header[:40]!r}; restore the original file")
    known: dict[str, Mapping[str, float]] = {}  # millions of frames have few different rows
    rows = []
    for expected, (line, text) in enumerate(lines, first + 1):
        if line != expected:
            # Skipping a row would shift all later rows to other frames.
            raise DataError(
                f"{file}:{expected}: expected a row for every frame, got an empty line; restore the original file"
            )
        if text not in known:
            known[text] = _read_row(text, aus, file, line)
        rows.append(known[text])
    return rows


def _read_row(text: str, aus: Sequence[str], file: Path, line: int) -> dict[str, float]:
    cells = text.split(",")
    if len(cells) != len(aus):
        raise DataError(
            f"{file}:{line}: expected {len(aus)} labels as in the header, got {len(cells)}; restore the original file"
        )
    codes = {au: read_code(cell, OCCURRENCE, file, line) for au, cell in zip(aus, cells, strict=True)}
    return {au: code for au, code in codes.items() if code is not None}
