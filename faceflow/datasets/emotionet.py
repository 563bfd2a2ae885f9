"""EmotioNet (Fabian Benitez-Quiroz et al. 2016): photographs from the web, those whose AUs were coded by hand.

    EmotioNet_FACS_aws_2020_24600.csv              header 'URL',URL orig,'AU 1',...,'AU 60'; rows of 0, 1 or 999
    anywhere/N_0000000001/N_0000000001_00001.jpg   images as fetched, in such folders or in one

999 means that the AU was not scored. Only URLs come with the data: an image is found by the last part of its URL,
and by its folder too if that name occurs twice; rows whose image could not be fetched are left out. Subjects are not
known. The 950,000 labels made by a program are not read.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from faceflow.aus import parse_column
from faceflow.datasets.label_files import Codes, read_code
from faceflow.datasets.layout import not_found, open_root
from faceflow.datasets.photographs import photographs
from faceflow.datasets.published import Folds, Recording
from faceflow.errors import DataError

log = logging.getLogger(__name__)

OCCURRENCE = Codes(highest=1, missing=999)

_TABLE = re.compile(r"EmotioNet_FACS.*\.csv", re.IGNORECASE)
_IMAGE = re.compile(r".+\.(?:jpe?g|png|bmp)", re.IGNORECASE)
_LAYOUT = "EmotioNet_FACS_aws_2020_24600.csv and the images of its URLs, such as N_0000000001_00001.jpg"
_QUOTES = " \t'\""

Scores = Mapping[str, float]


class EmotioNet:
    """Parser of EmotioNet's manual labels."""

    name = "emotionet"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None) -> None:
        """Choose the folder that holds the table and, at any depth, the images.

        Raises:
            ConfigError: no such folder.
        """
        self.root = open_root(root, "EmotioNet")

    def recordings(self) -> list[Recording]:
        """List the folders of images; frames are the lines of the rows that name the images."""
        tables = sorted(path for path in self.root.rglob("*") if _TABLE.fullmatch(path.name))
        if not tables:
            raise not_found("EmotioNet", _LAYOUT, self.root)
        if len(tables) > 1:
            raise DataError(f"{tables[1]}: expected one table, got '{tables[0]}' too; remove one")
        folders: dict[str, dict[int, Path]] = {}
        rows = self._rows_of_images(tables[0])
        for path, (line, _) in rows.items():
            name = path.parent.relative_to(self.root).as_posix()
            folders.setdefault("" if name == "." else name, {})[line] = path
        labels = dict(rows.values())
        return [
            photographs(name, self.root / name, images, {line: labels[line] for line in images})
            for name, images in sorted(folders.items())
        ]

    def _rows_of_images(self, table: Path) -> dict[Path, tuple[int, Scores]]:
        """Line and labels of every image that was fetched; two rows of one image must agree."""
        rows = list(_read_table(table))
        images = _Images(self.root, [url for _, url, _ in rows])
        found: dict[Path, tuple[int, Scores]] = {}
        lost = 0
        for line, url, scores in rows:
            path = images.of(url, f"{table}:{line}")
            if path is None:
                lost += 1
            elif found.setdefault(path, (line, scores))[1] != scores:
                raise DataError(
                    f"{table}:{line}: expected one row per image, got other labels for '{url}'; keep the right one"
                )
        if not found:
            raise not_found("EmotioNet", _LAYOUT, self.root)
        if lost:
            log.warning("EmotioNet: left out rows without an image: %d of %d", lost, len(rows))
        return found


class _Images:
    """Images below a folder by their URLs, whatever format they were saved in."""

    def __init__(self, root: Path, urls: Iterable[str]) -> None:
        self.by_stem: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*")):
            if _IMAGE.fullmatch(path.name):
                self.by_stem.setdefault(path.stem, []).append(path)
        stems = Counter(stem for _, stem in {_folder_and_stem(url) for url in urls})
        self.shared = {stem for stem, count in stems.items() if count > 1}

    def of(self, url: str, where: str) -> Path | None:
        """Image of a URL; None if it was not fetched."""
        folder, stem = _folder_and_stem(url)
        found = self.by_stem.get(stem, [])
        if len(found) < 2 and stem not in self.shared:
            return next(iter(found), None)
        exact = [path for path in found if path.parent.name == folder]
        if len(exact) > 1 or (not exact and stem not in self.shared):
            raise DataError(
                f"{where}: expected one image of '{url}', got {len(found)} with its name; keep one, or put them in "
                f"folders named as in the URL ('{folder}')"
            )
        return next(iter(exact), None)


def _folder_and_stem(url: str) -> tuple[str, str]:
    address = PurePosixPath(url.partition("?")[0])
    return address.parent.name, address.stem


def _read_table(table: Path) -> Iterator[tuple[int, str, Scores]]:
    """Line, URL and labels of every row, without missing ones."""
    try:
        lines = table.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{table}: expected a label file, got {error}; copy it again") from error
    rows = csv.reader(lines)
    header = [cell.strip(_QUOTES) for cell in next(rows, [])]
    columns = {number: found.au for number, cell in enumerate(header) if (found := parse_column(cell))}
    if "URL" not in header or not columns or len(set(columns.values())) != len(columns):
        raise DataError(
            f"{table}:1: expected a header with URL and every AU once, got {','.join(header)[:40]!r}; restore the "
            "original file"
        )
    for row in rows:
        if any(cell.strip() for cell in row):
            yield rows.line_num, *_read_row(row, header, columns, table, rows.line_num)


def _read_row(
    row: Sequence[str], header: Sequence[str], columns: Mapping[int, str], table: Path, line: int
) -> tuple[str, Scores]:
    if len(row) != len(header):
        raise DataError(
            f"{table}:{line}: expected {len(header)} cells as in the header, got {len(row)}; restore the original file"
        )
    codes = {au: read_code(row[number].strip(_QUOTES), OCCURRENCE, table, line) for number, au in columns.items()}
    return row[header.index("URL")].strip(_QUOTES), {au: code for au, code in codes.items() if code is not None}
