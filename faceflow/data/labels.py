"""Label files: a CSV with AU columns becomes checked numbers, with missing labels as NaN."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, parse_column, side_of, sort_key
from faceflow.encoding import Array
from faceflow.errors import DataError, suggest

log = logging.getLogger(__name__)

_TEXT_COLUMNS = ("filename", "subject", "domain")
_MISSING_TEXT = ("", "nan", "na", "n/a", "null", "none")
_UNKNOWN = -1.0  # the field's code for "not annotated"
_LOGICAL = {"true": "1", "false": "0"}


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A CSV as written: `scores` (N, C) in the file's own units with NaN = missing, `aus` names its C columns.

    `lines` (N,) are the rows' line numbers as an editor counts them; `logical` are the AUs whose labels are written
    as True and False.
    """

    path: Path
    frame: pd.DataFrame
    aus: tuple[str, ...]
    scores: Array
    lines: NDArray[np.int64]
    logical: frozenset[str] = frozenset()

    def where(self, row: int) -> str:
        """Name a row as `file:line`."""
        return f"{self.path}:{self.lines[row]}"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of N rows: `occurrence` (N, A) bool, `intensity` (N, A) FACS 0-5 or NaN, `observed` (N, A)."""

    aus: tuple[str, ...]
    occurrence: NDArray[np.bool_]
    intensity: Array
    observed: NDArray[np.bool_]


def read_labels(path: str | Path, *, missing_values: Sequence[float], prefer: Kind, key: str) -> LabelFile:
    """Read a CSV in the label contract: AU columns, `filename`, optional `subject`, `frame`, `video`, `domain`.

    Args:
        path: the CSV.
        missing_values: numbers that mean "not annotated" in this data set, besides -1 and empty cells.
        prefer: which columns to take where a tool wrote both intensities and occurrences; their units differ, so the
            columns of the other kind are left out.
        key: config key of the path, for messages.

    Raises:
        DataError: no such file, no rows, no `filename`, no AU, a column twice, or text in a label column.
    """
    path = Path(path).expanduser()
    frame = read_text(path, key)
    if "filename" not in frame.columns:
        similar = suggest("filename", map(str, frame.columns))
        raise DataError(f"{path}: expected a column 'filename', got {_listed(frame)}; {similar}")
    chosen = _au_columns(path, frame, prefer)
    if not chosen:
        raise DataError(f"{path}: expected AU columns such as AU12, got {_listed(frame)}; rename the label columns")
    if frame.empty:
        raise DataError(f"{path}: expected label rows, got only a header; add rows or remove the file")
    texts = {au: frame.iloc[:, column].str.strip() for au, column in chosen.items()}
    return LabelFile(
        path=path,
        frame=frame,
        aus=tuple(chosen),
        scores=np.column_stack([_numbers(path, text, missing_values) for text in texts.values()]),
        lines=frame.index.to_numpy(np.int64),
        logical=frozenset(au for au, text in texts.items() if text.str.lower().isin(_LOGICAL).any()),
    )


def scores_for(aus: Sequence[str], columns: Sequence[str], scores: Array) -> Array:
    """Labels of the AUs asked for, made from the columns that a data set has.

    Sides join by their maximum; a side observed at 0 beside a missing one stays missing, since the other may be
    active. A joined 0 means 0 on both sides; a joined positive does not say which side, so it is missing there.

    Args:
        aus: AUs asked for, A of them.
        columns: AUs that the data set labels, C of them.
        scores: (N, C) label units, NaN = missing.

    Returns:
        (N, A), NaN = missing; an AU without a column is missing throughout.
    """
    position = {au: index for index, au in enumerate(columns)}
    wanted = np.full((len(scores), len(aus)), np.nan)
    for index, au in enumerate(aus):
        sides = [position[side] for side in (f"{au}_L", f"{au}_R") if side in position]
        if au in position:
            wanted[:, index] = scores[:, position[au]]
        elif sides and not side_of(au):
            both = scores[:, sides]
            strongest = np.fmax.reduce(both, axis=1)
            known = np.isfinite(both).all(axis=1) & (len(sides) == 2)
            wanted[:, index] = np.where(known | (strongest > 0), strongest, np.nan)
        elif side_of(au) and joined(au) in position:
            whole = scores[:, position[joined(au)]]
            wanted[:, index] = np.where(whole == 0, 0.0, np.nan)
    return wanted


def read_text(path: Path, key: str) -> pd.DataFrame:
    """Read the cells of a CSV as text, indexed by line number; empty rows are left out.

    Raises:
        DataError: no such file, or one that is no comma-separated UTF-8 table.
    """
    try:
        # Without `header=None` pandas renames repeated columns, and shifts them where rows have a cell too many.
        cells = pd.read_csv(
            path,
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
            skip_blank_lines=False,
        )
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"{key}: expected a CSV file, got '{path}' ({reason}); check the path") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}:1: expected a header, got an empty line; write AU columns and 'filename'") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: expected a comma-separated UTF-8 file, got '{reason}'; save it as CSV") from error
    header = [str(name).strip() for name in cells.iloc[0]]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(f"{path}: expected commas between columns, got '{header[0][:40]}'; save it as CSV")
    if repeated := [name for name in _TEXT_COLUMNS if header.count(name) > 1]:
        raise DataError(f"{path}: expected one column '{repeated[0]}', got {header.count(repeated[0])}; remove one")
    cells.columns, cells.index = pd.Index(header), cells.index + 1
    rows = cells.iloc[1:]
    frame = rows[(rows != "").any(axis=1)].copy()
    for name in set(_TEXT_COLUMNS) & set(header):
        frame[name] = frame[name].str.strip()
        _check_text(path, frame[name])
    return frame


def _check_text(path: Path, column: pd.Series[str]) -> None:
    """Refuse a NUL character, with which no file can be named."""
    wrong = column.str.contains("\0", regex=False).to_numpy(bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{path}:{column.index[row]}: expected text in column '{column.name}', got a NUL character in "
            f"{column.iloc[row]!r}; save the file as UTF-8 text"
        )


def _au_columns(path: Path, frame: pd.DataFrame, prefer: Kind) -> dict[str, int]:
    """Position of each AU's column; all are of one kind, because one scale must fit all."""
    found: dict[Kind, dict[str, int]] = {}
    for position, header in enumerate(frame.columns):
        column = parse_column(header)
        if column is None:
            continue
        positions = found.setdefault(column.kind, {})
        if column.au in positions:
            raise DataError(
                f"{path}: expected one column for {column.au}, got '{frame.columns[positions[column.au]]}' and "
                f"'{header}'; drop one"
            )
        positions[column.au] = position
    order: tuple[Kind, ...] = (prefer, "label", "intensity", "occurrence")
    chosen = next((found[kind] for kind in order if kind in found), {})
    if lost := {au for positions in found.values() for au in positions} - set(chosen):
        log.warning(
            "%s: left out %s, whose only columns are in other units than '%s'",
            path,
            ", ".join(sorted(lost, key=sort_key)),
            frame.columns[next(iter(chosen.values()))],
        )
    return chosen


def _numbers(path: Path, text: pd.Series[str], missing_values: Sequence[float]) -> Array:
    lower = text.str.lower()
    missing = lower.isin(_MISSING_TEXT)
    numbers = pd.to_numeric(lower.where(~missing).replace(_LOGICAL), errors="coerce").to_numpy(np.float64)
    unreadable = ~np.isfinite(numbers) & ~missing.to_numpy(bool)
    if unreadable.any():
        row = int(np.argmax(unreadable))
        raise DataError(
            f"{path}:{text.index[row]}: expected a number in column '{text.name}', got '{text.iloc[row]}'; "
            "write the score, or leave the cell empty where it is unknown"
        )
    return np.where(np.isin(numbers, [_UNKNOWN, *missing_values]), np.nan, numbers)


def _listed(frame: pd.DataFrame) -> str:
    names = list(frame.columns)
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
