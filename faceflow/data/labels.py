"""Label files: a CSV with AU columns becomes checked numbers, with missing labels as NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, parse_column, side_of
from faceflow.encoding import FACS_MAX, Array, LabelScale
from faceflow.errors import ConfigError, DataError, suggest

_MISSING_TEXT = ("", "nan", "na", "n/a", "null", "none")
_UNKNOWN = -1.0  # the field's code for "not annotated"
_FIRST_ROW = 2  # line of the first label row, as an editor counts


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A CSV as written: `scores` (N, C) in the file's own units with NaN = missing, `aus` names its C columns."""

    path: Path
    frame: pd.DataFrame
    aus: tuple[str, ...]
    scores: Array
    lines: NDArray[np.int64]

    def where(self, row: int) -> str:
        """Name a row as `file:line`."""
        return f"{self.path}:{self.lines[row]}"


def read_labels(path: str | Path, *, missing_values: Sequence[float], prefer: Kind, key: str) -> LabelFile:
    """Read a CSV in the label contract: AU columns, `filename`, optional `subject`, `frame`, `video`, `domain`.

    Args:
        path: the CSV.
        missing_values: numbers that mean "not annotated" in this data set, besides -1 and empty cells.
        prefer: which column to take where a tool wrote both an intensity and an occurrence of one AU.
        key: config key of the path, for messages.

    Raises:
        DataError: no such file, no rows, no `filename`, no AU, an AU twice, or text in a label column.
    """
    path = Path(path).expanduser()
    frame = _read_text(path, key)
    if "filename" not in frame.columns:
        raise DataError(
            f"{path}: expected a column 'filename', got {_listed(frame)}; {suggest('filename', map(str, frame.columns))}"
        )
    chosen = _au_columns(path, frame, prefer)
    if not chosen:
        raise DataError(f"{path}: expected AU columns such as AU12, got {_listed(frame)}; rename the label columns")
    if frame.empty:
        raise DataError(f"{path}: expected label rows, got only a header; add rows or remove the file")
    scores = np.column_stack([_numbers(path, frame[header], header, missing_values) for header in chosen.values()])
    lines = np.arange(len(frame), dtype=np.int64) + _FIRST_ROW
    return LabelFile(path=path, frame=frame, aus=tuple(chosen), scores=scores, lines=lines)


def find_scale(
    name: str, files: Sequence[LabelFile], score_max: float | None, occurrence_min: float | None
) -> LabelScale:
    """Units of a data set's labels; what the user leaves open is read off the labels of all its files.

    Only 0 and 1 occur -> occurrence labels; nothing above 1 -> intensities normalised to 0-1; otherwise FACS 0-5,
    with occurrence at intensity 2 of 5, the field's convention.

    Raises:
        DataError: a label above the scale or below zero, named by row.
    """
    values = np.concatenate([file.scores[np.isfinite(file.scores)] for file in files])
    if score_max is None:
        only_binary = bool(np.isin(values, (0.0, 1.0)).all()) and (occurrence_min is None or occurrence_min <= 1)
        normalised = values.max(initial=0.0) <= 1 and (occurrence_min is None or occurrence_min <= 1)
        score_max = 1.0 if only_binary or normalised else FACS_MAX
        if occurrence_min is None:
            occurrence_min = 1.0 if only_binary else 2.0 * score_max / FACS_MAX
    elif occurrence_min is None:
        occurrence_min = 1.0 if score_max == 1 and np.isin(values, (0.0, 1.0)).all() else 2.0 * score_max / FACS_MAX
    if not 0 < occurrence_min <= score_max:
        raise ConfigError(
            f"data.sources.{name}.occurrence_min: expected a label in (0, {score_max:g}], got {occurrence_min:g}; "
            "it is the lowest label that counts as occurrence"
        )
    for file in files:
        outside = (file.scores > score_max + 1e-9) | (file.scores < 0)
        if outside.any():
            row, column = map(int, np.argwhere(outside)[0])
            raise DataError(
                f"{file.where(row)}: expected {file.aus[column]} in 0..{score_max:g}, "
                f"got {file.scores[row, column]:g}; correct the label, or set data.sources.{name}.score_max, or "
                f"data.sources.{name}.missing_values=[{file.scores[row, column]:g}]"
            )
    return LabelScale(score_max=score_max, occurrence_min=occurrence_min)


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


def _read_text(path: Path, key: str) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"{key}: expected a CSV file, got '{path}' ({reason}); check the path") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: expected a header and label rows, got an empty file") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: expected a comma-separated UTF-8 file, got '{reason}'; save it as CSV") from error
    frame.columns = [str(header).strip() for header in frame.columns]
    if len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ";\t"):
        raise DataError(f"{path}: expected commas between columns, got '{frame.columns[0][:40]}'; save it as CSV")
    return frame


def _au_columns(path: Path, frame: pd.DataFrame, prefer: Kind) -> dict[str, str]:
    chosen: dict[str, tuple[str, Kind]] = {}
    for header in frame.columns:
        column = parse_column(header)
        if column is None:
            continue
        other = chosen.get(column.au)
        if other and other[1] == column.kind:
            raise DataError(f"{path}: expected one column for {column.au}, got '{other[0]}' and '{header}'; drop one")
        if other is None or column.kind == prefer:
            chosen[column.au] = (header, column.kind)
    return {au: header for au, (header, _) in chosen.items()}


def _numbers(path: Path, column: pd.Series[str], header: str, missing_values: Sequence[float]) -> Array:
    text = column.str.strip()
    missing = text.str.lower().isin(_MISSING_TEXT)
    numbers = pd.to_numeric(text.where(~missing), errors="coerce").to_numpy(np.float64)
    unreadable = ~np.isfinite(numbers) & ~missing.to_numpy(bool)
    if unreadable.any():
        row = int(np.argmax(unreadable))
        raise DataError(
            f"{path}:{row + _FIRST_ROW}: expected a number in column '{header}', got '{text.iloc[row]}'; "
            "write the score, or leave the cell empty where it is unknown"
        )
    return np.where(np.isin(numbers, [_UNKNOWN, *missing_values]), np.nan, numbers)


def _listed(frame: pd.DataFrame) -> str:
    names = list(frame.columns)
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
