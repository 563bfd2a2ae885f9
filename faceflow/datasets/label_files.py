"""Read label files: a frame and one code, or a row of codes, per line."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faceflow.datasets.published import File
from faceflow.errors import DataError

Scores = dict[int, float | None]
"""Frame number -> score; None if the frame could not be coded."""


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Allowed labels: a whole number from 0 to `highest`, or `missing` if the AU could not be coded."""

    highest: int
    missing: int | None

    def score(self, text: str) -> float | None:
        """Read a label; None if it is missing.

        Raises:
            ValueError: not a code.
        """
        value = float(text)
        if value == self.missing:
            return None
        if not 0 <= value <= self.highest or value != int(value):
            raise ValueError(text)
        return value

    def __str__(self) -> str:
        """Describe it for messages."""
        return f"a whole number from 0 to {self.highest}" + ("" if self.missing is None else f", or {self.missing}")


def read_lines(file: File) -> Iterator[tuple[int, str]]:
    """Non-blank lines of a text file with their numbers from 1, stripped and without comments.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        if isinstance(file, Path):
            content = file.read_bytes()
        else:
            with zipfile.ZipFile(file.archive) as archive:
                content = archive.read(file.member)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: the archive has a password
        raise DataError(f"{file}: expected a label file, got {error}; copy it again") from error
    for number, line in enumerate(content.decode("utf-8-sig", errors="replace").splitlines(), 1):
        if text := line.partition("#")[0].strip():
            yield number, text


def whole_number(text: str) -> int | None:
    """Frame number written in digits; None for other texts."""
    return int(text) if text.isascii() and text.isdigit() else None


def read_scores(
    file: File, codes: Codes, *, separator: str | None, frame_of: Callable[[str], int | None] = whole_number
) -> Scores:
    """Read a file with a frame and a code per line, in any order.

    Args:
        file: without header; `#` starts a comment.
        codes: allowed labels.
        separator: between frame and code; None: any white space.
        frame_of: reads the frame; None where it cannot.

    Raises:
        DataError: a line that is not a frame and a code, or a frame with two different codes.
    """
    scores: Scores = {}
    for line, text in read_lines(file):
        cells = [cell.strip() for cell in text.split(separator)]
        frame = frame_of(cells[0])
        if len(cells) != 2 or frame is None:
            form = f"a frame and a label separated by {'a space' if separator is None else repr(separator)}"
            raise DataError(f"{file}:{line}: expected {form}, got {text[:40]!r}; restore the original file")
        score = read_code(cells[1], codes, file, line)
        if scores.setdefault(frame, score) != score:
            raise two_labels(file, line, frame)
    return scores


def read_code(text: str, codes: Codes, file: File, line: int) -> float | None:
    """Read one label; None if it is missing.

    Raises:
        DataError: not a code; names the file and the line.
    """
    try:
        return codes.score(text)
    except ValueError:
        raise DataError(
            f"{file}:{line}: expected {codes} as label, got {text[:40]!r}; restore the original file"
        ) from None


def two_labels(file: File, line: int, frame: int) -> DataError:
    """Error for a frame that a file labels twice with different values."""
    return DataError(
        f"{file}:{line}: expected one label per frame, got different values for frame {frame}; keep one line"
    )


def by_frame(columns: Mapping[str, Scores]) -> dict[int, dict[str, float]]:
    """Turn scores by AU and frame into scores by frame and AU, without missing scores and frames without any."""
    frames = {frame for scores in columns.values() for frame in scores}
    rows = {frame: {au: scores.get(frame) for au, scores in columns.items()} for frame in frames}
    return without_missing(rows)


def without_missing(rows: Mapping[int, Mapping[str, float | None]]) -> dict[int, dict[str, float]]:
    """Leave out missing scores, and frames that have no other; frames come in order."""
    labels = {frame: {au: s for au, s in rows[frame].items() if s is not None} for frame in sorted(rows)}
    return {frame: scores for frame, scores in labels.items() if scores}
