"""Dialects of CSV: the encoding of the text, and the separator."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceflow.errors import DataError

log = logging.getLogger(__name__)

Line = tuple[int, list[str]]
"""Line number as an editor counts it, and cells."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_MARKS = {  # UTF-32 first: one of its marks begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_SAMPLE = 4096  # bytes to recognise UTF-16 without a mark
_SAMPLED_ROWS = 200  # rows to find the separator
_SPACE = re.compile(r"[^\S\n]")
_STATED = re.compile(r'"?sep=(.|\\t)"?[ \t,;]*(?:\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's first line


def decode(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of a file, and a note if its encoding is a guess.

    Raises:
        DataError: not text in any of the encodings tried.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    encoding = encoding or _utf_16_without_mark(content) or "utf-8"
    try:
        return content.decode(encoding), ()
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DataError(
                f"{path}: expected {encoding.upper()} text, as its first bytes indicate, got '{error.reason}' at byte "
                f"{error.start}; save it as 'CSV UTF-8'"
            ) from error
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: expected UTF-8 text, got the byte 0x{content[error.start]:02x}; save it as 'CSV UTF-8'"
        ) from error
    word = next(word for word in re.split(r"[\s,;|\"]+", text) if not word.isascii())
    log.warning(
        "%s: not UTF-8, so read as Windows-1252, which gives '%s'; if that is wrong, save it as 'CSV UTF-8'", path, word
    )
    return text, ("read as Windows-1252",)


@dataclass(frozen=True)
class Text:
    """Lines of cells, their separator, and the number of lines skipped before them."""

    body: str
    separator: str
    skipped: int

    @property
    def note(self) -> tuple[str, ...]:
        """Note for reports about a separator other than commas."""
        name = SEPARATORS.get(self.separator, f"'{self.separator}'")
        return () if self.separator == "," else (f"{name} between columns",)

    def columns(self) -> list[list[str]] | None:
        """Cells by column, stripped, each column with its name first.

        None if a cell is quoted or lines differ in their number of cells; much faster than `lines`.
        """
        body = self.body.replace("\r\n", "\n").removesuffix("\n")
        if len(self.separator) != 1 or not self.separator.isascii() or any(mark in body for mark in '"\r\0'):
            return None
        width = body.partition("\n")[0].count(self.separator) + 1
        characters = np.frombuffer(body.encode("utf-8", "surrogatepass"), np.uint8)
        ends = characters == ord("\n")
        marks = ends[ends | (characters == ord(self.separator))]  # True where a line ends, False between cells
        even = len(marks) % width == width - 1 and marks[width - 1 :: width].sum() == len(marks) // width == ends.sum()
        if width == 1 or not even:
            return None
        cells = body.replace("\n", self.separator).split(self.separator)
        if _SPACE.search(body):
            cells = [*map(str.strip, cells)]
        return [cells[start::width] for start in range(width)]

    def lines(self, path: Path) -> Iterator[Line]:
        """Cells of every line.

        Raises:
            DataError: a quote that is never closed.
        """
        return _split(path, self.body, self.separator, self.skipped)


def split_text(path: Path, text: str) -> Text:
    """Find the separator: from a first line "sep=;", else one that splits the header so that no row has more cells.

    Raises:
        DataError: cells separated by spaces.
    """
    stated = _STATED.match(text)
    body = text[stated.end() :] if stated else text
    separator = stated[1].replace("\\t", "\t") if stated else _find_separator(path, body)
    return Text(body, separator, 1 if stated else 0)


def _utf_16_without_mark(content: bytes) -> str | None:
    """Text in Latin letters has a zero in every second byte."""
    sample = content[:_SAMPLE]
    zeros = [sample[start::2].count(0) / max(1, len(sample) // 2) for start in (0, 1)]
    for zero, letter, encoding in ((1, 0, "utf-16-le"), (0, 1, "utf-16-be")):
        if zeros[zero] > 0.5 and zeros[letter] < 0.1:
            return encoding
    return None


def _find_separator(path: Path, body: str) -> str:
    found = {}
    for separator in SEPARATORS:
        lines = [cells for _, cells in itertools.islice(_split(path, body, separator, 0), _SAMPLED_ROWS) if any(cells)]
        width = len(lines[0]) if lines else 0
        if width > 1:
            found[separator] = all(len(cells) <= width or not any(cells[width:]) for cells in lines[1:]), width
    if found:
        return max(found, key=lambda separator: found[separator])
    words = [line.split() for line in itertools.islice(filter(None, map(str.strip, body.splitlines())), 2)]
    if len(words) == 2 and 1 < len(words[0]) == len(words[1]):
        raise DataError(
            f"{path}: expected commas, semicolons or tabs between columns, got spaces in "
            f"'{' '.join(words[0])[:40]}'; save it as CSV"
        )
    return ","


def _split(path: Path, body: str, separator: str, skipped: int) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=True)
    first = 1
    try:
        for cells in reader:
            last = reader.line_num
            if last > first and last == _count_lines(body) and body.count('"') % 2:
                raise csv.Error("a quote that is never closed")
            yield first + skipped, cells
            first = last + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{first + skipped}: expected closed quotes, got '{error}'; close the quote or remove it"
        ) from error


def _count_lines(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text)) + (not text.endswith(("\r", "\n")))
