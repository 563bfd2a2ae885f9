"""Labels of the user's own files: the clip, the frame and the box of the face of each row of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceflow.cropping.clips import Clip
from faceflow.errors import DataError
from faceflow.tables.columns import name_columns, no_column
from faceflow.tables.label_cells import check_label_cells
from faceflow.tables.numbers import Marks, find_marks, read_number
from faceflow.tables.reading import read_table
from faceflow.tables.table import Table

Box = tuple[float, float, float, float]

_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_SIZES = (
    *(("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height")),
    ("facerectx", "facerecty", "facerectwidth", "facerectheight"),  # Py-Feat
)
_DRIVE = re.compile(r"[a-zA-Z]:/")


@dataclass(frozen=True)
class Place:
    """A frame of a clip; photographs are numbered like frames."""

    clip: str
    frame: int


@dataclass(frozen=True, kw_only=True)
class LabelRows:
    """Rows of a table, with what each one labels.

    `places` (N,) are None for a row whose file does not exist, `boxes` (N,) are x1, y1, x2, y2 in pixels of the upright
    image, None for a row without a box. `marks` are the decimal marks of the labels.
    """

    table: Table
    places: Sequence[Place | None]
    boxes: Sequence[Box | None]
    marks: Marks

    @property
    def boxed(self) -> bool:
        """Whether any row has a box."""
        return any(box is not None for box in self.boxes)


def read_label_rows(path: Path, names: Mapping[str, str | None], clips: Sequence[Clip]) -> LabelRows:
    """Read a table of labels and find the frames that its rows name.

    A `filename` is a path below a source, the end of a path that matches only one file, or a path on another machine
    that ends like that of a file below a source. Rows of a video have a `frame`, counted from 1. If the source is one
    video, no `filename` is needed.

    Args:
        path: of the table.
        names: standard name -> name of the column in the file.
        clips: clips to crop.

    Raises:
        ConfigError, DataError: a table that cannot be read, no AU, a name that matches several files, no row that
            matches a file, or two rows for one face.
    """
    table = name_columns(read_table(path.expanduser(), key="labels"), names, key="columns")
    marks = check_label_cells(table)
    if not len(table):
        raise DataError(f"{path}: expected rows, got only a header; add rows")
    places = _places(table, clips)
    if not any(places):
        name = (table.named("filename") or [""])[0]
        raise DataError(
            f"{table.where(0)}: expected files of source in column 'filename', got none in {len(places)} rows, such as "
            f"'{name}'; check source, or write paths relative to it"
        )
    rows = LabelRows(table=table, places=places, boxes=_boxes(table), marks=marks)
    _check_single(rows)
    return rows


def _places(table: Table, clips: Sequence[Clip]) -> list[Place | None]:
    files = _Files(clips)
    names, frames = table.named("filename"), table.named("frame")
    if names is None:
        if len(clips) > 1 or clips[0].images is not None:
            raise no_column(table.path, table, "filename", key="columns")
        names = [str(clips[0].file)] * len(table)
    found: dict[str, tuple[str, int | None] | None] = {}
    places: list[Place | None] = []
    for row, name in enumerate(names):
        if name not in found:
            found[name] = files.find(name, table.where(row))
        clip_and_number = found[name]
        if clip_and_number is None:
            places.append(None)
            continue
        clip, number = clip_and_number
        if number is None:
            if frames is None:
                raise DataError(
                    f"{table.path}: expected a column 'frame' for the frames of '{name}', got {table.listed()}; add "
                    "it, counting from 1"
                )
            number = _frame(frames[row], table.where(row))
        places.append(Place(clip, number))
    return places


def _frame(text: str, where: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if number < 1 or number != int(number):
        raise DataError(f"{where}: expected a frame number from 1 on, got '{text}'; the first frame of a video is 1")
    return int(number)


class _Files:
    """Files of clips by the names that a table may use."""

    def __init__(self, clips: Iterable[Clip]) -> None:
        self._places: dict[Path, tuple[str, int | None]] = {}
        self._below: dict[Path, tuple[str, ...]] = {}  # parts of the path below the source
        self._by_name: dict[str, list[Path]] = {}
        for clip in clips:
            for number, path in clip.images.items() if clip.images is not None else ((None, Path(str(clip.file))),):
                folder = PurePosixPath(clip.name) if clip.images is not None else PurePosixPath(clip.name).parent
                self._places[path] = clip.name, number
                self._below[path] = (*folder.parts, path.name)
                for name in {path.name.casefold(), path.stem.casefold()}:
                    self._by_name.setdefault(name, []).append(path)

    def find(self, text: str, where: str) -> tuple[str, int | None] | None:
        """Clip of a file and its number among the images of the clip; None if there is no such file.

        Raises:
            DataError: the name matches several files.
        """
        name = text.replace("\\", "/")
        drive = _DRIVE.match(name)
        path = PurePosixPath(name[2:] if drive else name)
        parts = tuple(part for part in path.parts if part not in (".", "..", "/"))
        if not parts:
            return None
        fitting = [found for found in self._by_name.get(parts[-1].casefold(), []) if self._fits(found, parts)]
        if not fitting and path.is_absolute():  # of another machine
            ends = [
                (len(below), found)
                for found in self._by_name.get(parts[-1].casefold(), [])
                if parts[-len(below := self._below[found]) :] == below
            ]
            longest = max((length for length, _ in ends), default=0)
            fitting = [found for length, found in ends if length == longest]
        exact = [found for found in fitting if found.name == parts[-1]]
        whole = [found for found in fitting if self._below[found] == parts]
        best = whole or exact or fitting
        if len(best) > 1:
            raise DataError(
                f"{where}: expected one file, got '{text}', which matches '{best[0]}' and '{best[1]}'; write more "
                "of the path"
            )
        return self._places[best[0]] if best else None

    def _fits(self, found: Path, parts: tuple[str, ...]) -> bool:
        """Whether a file's path ends with parts; case and a missing suffix are ignored."""
        own = tuple(part.casefold() for part in found.absolute().parts)
        said = tuple(part.casefold() for part in parts)
        return len(said) <= len(own) and own[len(own) - len(said) : -1] == said[:-1]


def _boxes(table: Table) -> list[Box | None]:
    header = [name.lower() for name in table.header]
    found = next((names for names in (*_CORNERS, *_SIZES) if set(names) <= set(header)), None)
    if found is None:
        if partial := next((names for names in (*_CORNERS, *_SIZES) if len(set(names) & set(header)) == 3), None):
            lacking = next(name for name in partial if name not in header)
            raise DataError(f"{table.path}: expected a box in columns {', '.join(partial)}, got no '{lacking}'; add it")
        return [None] * len(table)
    columns = [table.columns[header.index(name)] for name in found]
    marks = find_marks(text for column in columns for text in column)
    boxes: list[Box | None] = []
    for row, cells in enumerate(zip(*columns, strict=True)):
        try:
            numbers = [read_number(cell, marks) for cell in cells]
        except ValueError as error:
            raise DataError(f"{table.where(row)}: expected numbers for a box, got '{error}'; correct it") from error
        said = [number for number in numbers if number is not None]
        if not said:
            boxes.append(None)
            continue
        if len(said) == 4:
            x1, y1, third, fourth = said
            box = (x1, y1, x1 + third, y1 + fourth) if found in _SIZES else (x1, y1, third, fourth)
            if box[0] < box[2] and box[1] < box[3]:
                boxes.append(box)
                continue
        raise DataError(
            f"{table.where(row)}: expected a box in {', '.join(found)} with a width and a height above 0, got "
            f"{', '.join(cell or 'nothing' for cell in cells)}; correct it, or leave all four empty"
        )
    return boxes


def _check_single(rows: LabelRows) -> None:
    """Check that different rows of the same frame have boxes."""
    first: dict[Place, int] = {}
    table = rows.table
    for row, place in enumerate(rows.places):
        if place is None or rows.boxes[row] is not None:
            continue
        other = first.setdefault(place, row)
        if other != row and table.row(other) != table.row(row):
            raise DataError(
                f"{table.where(row)}: expected one row per image or frame, got another in line "
                f"{table.lines[other]}; keep one, or give the face of each in x1, y1, x2, y2"
            )
