"""BP4D (Zhang et al. 2014) and BP4D+ (Zhang et al. 2016): folders of images, AUs coded in a part of each task.

    AUCoding/AU_OCC/F001_T1.csv             header of AU numbers, rows of 0, 1 or 9; the first column is the frame
    AU Intensity Codes3.0/AU06/F001_T1.csv  lines "frame,intensity", 0 to 5 or 9
    Sequences_2D+3D/F001/T1/2440.jpg        2D+3D in BP4D+; any number of leading zeros

9 means that the AU could not be coded. Columns are identified by their header: some files list the numbers 0 to 99, of
which the last is not an AU but means an occluded face, others only the coded AUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from faceflow.aus import parse_column
from faceflow.checks import check_choice
from faceflow.datasets.label_files import (
    Codes,
    Scores,
    by_frame,
    read_code,
    read_lines,
    read_scores,
    two_labels,
    whole_number,
    without_missing,
)
from faceflow.datasets.layout import find, in_both, not_found, open_root, subfolders
from faceflow.datasets.numbered_files import numbered_images
from faceflow.datasets.published import Folds, Labels, Recording
from faceflow.datasets.published_folds import subjects_of
from faceflow.errors import DataError

OCCURRENCE = Codes(highest=1, missing=9)
INTENSITY = Codes(highest=5, missing=9)

_CODING = re.compile(r"AU_?Coding", re.IGNORECASE)
_OCCURRENCE_FOLDER = re.compile(r"AU_?OCC", re.IGNORECASE)
_INTENSITY_FOLDER = re.compile(r"AU[ _]?Intensity.*|AU_?INT", re.IGNORECASE)
_AU_FOLDER = re.compile(r"AU0*(\d{1,2})", re.IGNORECASE)
_FILE = re.compile(r"([FM]\d{3})_(T\d{1,2})(?:[ _.-].*)?\.csv", re.IGNORECASE)
_IMAGE_FOLDER = re.compile(r"(Sequences[ _]?)?\(?2D\+3D\)?|img|images?", re.IGNORECASE)
_TASK = re.compile(r"[FM]\d{3}/T\d{1,2}")


class BP4D:
    """Parser of BP4D."""

    name = "bp4d"
    title = "BP4D"
    folds: ClassVar[Folds] = {"jaanet": subjects_of("bp4d3")}

    def __init__(self, *, root: str | None, labels: str, frames: str) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the images and the AU codes.
            labels: occurrence, or intensity: of the few AUs that were graded.
            frames: labeled, or all: also the images that were not coded.

        Raises:
            ConfigError: no such folder or choice.
        """
        check_choice(labels, key="dataset.labels", options=("occurrence", "intensity"))
        check_choice(frames, key="dataset.frames", options=("labeled", "all"))
        self.root = open_root(root, self.title)
        self.intensity = labels == "intensity"
        self.all_frames = frames == "all"

    def recordings(self) -> list[Recording]:
        """List the tasks that were coded and have images."""
        if self.intensity:
            places = [folder for coding in find(self.root, _INTENSITY_FOLDER) for folder in find(coding, _AU_FOLDER)]
        else:
            codings = find(self.root, _CODING)
            places = [folder for coding in codings for folder in find(coding, _OCCURRENCE_FOLDER) or [coding]]
        files = _by_task(path for place in places for path in sorted(place.iterdir()))
        folders = subfolders(find(self.root, _IMAGE_FOLDER), _TASK)
        names = in_both(self.title, files, folders)
        if not names:
            codes = "AU Intensity Codes3.0/AU06" if self.intensity else "AUCoding/AU_OCC"
            layout = f"Sequences_2D+3D/F001/T1/2440.jpg and {codes}/F001_T1.csv"
            raise not_found(self.title, layout, self.root)
        return [self._read_task(name, files[name], folders[name]) for name in names]

    def _read_task(self, name: str, files: Sequence[Path], folder: Path) -> Recording:
        labels = _read_intensity(files) if self.intensity else _read_occurrence(files)
        images = numbered_images(folder, labels)
        return Recording(
            name=name,
            file=folder,
            frames={frame: path for frame, path in images.items() if self.all_frames or frame in labels},
            subject=name.partition("/")[0],
            domain="",
            labels=labels,
            excluded={},
        )


class BP4DPlus(BP4D):
    """Parser of BP4D+, whose subjects differ from those of BP4D although their names repeat."""

    name = "bp4d_plus"
    title = "BP4D+"
    folds: ClassVar[Folds] = {"fmae": subjects_of("bp4d_plus4")}


def _by_task(files: Iterator[Path]) -> dict[str, list[Path]]:
    """Label files by "F001/T1"."""
    tasks: dict[str, list[Path]] = {}
    for path in files:
        if match := _FILE.fullmatch(path.name):
            tasks.setdefault(f"{match[1]}/{match[2]}".upper(), []).append(path)
    return tasks


def _read_occurrence(files: Sequence[Path]) -> Labels:
    if len(files) > 1:
        raise DataError(f"{files[1]}: expected one file for the task, got '{files[0]}' too; remove one")
    lines = read_lines(files[0])
    columns, width = _read_header(files[0], lines)
    rows: dict[int, dict[str, float | None]] = {}
    for line, text in lines:
        cells = [cell.strip() for cell in text.split(",")]
        frame = whole_number(cells[0])
        if len(cells) != width or frame is None:
            raise DataError(
                f"{files[0]}:{line}: expected a frame number and {width - 1} codes as in the header, got "
                f"{text[:40]!r} ({len(cells)} cells); restore the original file"
            )
        row = {au: read_code(cells[column], OCCURRENCE, files[0], line) for au, column in columns.items()}
        if rows.setdefault(frame, row) != row:
            raise two_labels(files[0], line, frame)
    return without_missing(rows)


def _read_header(file: Path, lines: Iterator[tuple[int, str]]) -> tuple[dict[str, int], int]:
    """Column of every AU, and the count of columns.

    The first column is the frame even if its header is the number of an AU, as in "1,1,2,4".
    """
    line, text = next(lines, (1, ""))
    headers = [cell.strip().strip("'\"") for cell in text.split(",")]
    columns: dict[str, int] = {}
    for column, header in enumerate(headers[1:], 1):
        found = parse_column(f"AU{header}" if header.isdigit() else header)
        if found and columns.setdefault(found.au, column) != column:
            raise DataError(f"{file}:{line}: expected a header with every AU once, got {found.au} twice; fix it")
    if not columns:
        raise DataError(f"{file}:{line}: expected a header of AU numbers, got {text[:40]!r}; restore the original file")
    return columns, len(headers)


def _read_intensity(files: Sequence[Path]) -> Labels:
    scores: dict[str, Scores] = {}
    for path in files:  # sorted by folder: AU06, AU10, AU12, AU14, AU17
        match = _AU_FOLDER.fullmatch(path.parent.name)
        assert match is not None
        au = f"AU{match[1]}"
        if au in scores:
            raise DataError(f"{path}: expected one file for {au} and the task, got another in its folder; remove one")
        scores[au] = read_scores(path, INTENSITY, separator=",")
    return by_frame(scores)
