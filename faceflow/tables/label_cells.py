"""AU columns of a table, and their cells as numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import Kind, looks_like_au, parse_column, sort_key
from faceflow.errors import DataError
from faceflow.tables.numbers import MISSING, AmbiguousNumberError, Marks, find_marks, read_number
from faceflow.tables.table import Table

log = logging.getLogger(__name__)

_UNKNOWN = -1.0  # the field's code for "not annotated"
_LOGICAL = {"true": 1.0, "false": 0.0}
# FACS scores intensity in letters: A trace, B slight, C marked or pronounced, D severe, E maximum (Ekman, Friesen and
# Hager, 2002). 0 means that the AU is absent.
_LETTERS = {"0": 0.0, "0.0": 0.0} | {letter: float(score) for score, letter in enumerate("abcde", 1)}


@dataclass(frozen=True, kw_only=True)
class LabelCells:
    """Labels of N rows: `scores` (N, C) in the file's units, NaN = missing, for the C columns `aus`.

    `logical` are the AUs that are written as True and False; `notes` list assumptions.
    """

    aus: tuple[str, ...]
    scores: NDArray[np.float64]
    logical: frozenset[str]
    notes: tuple[str, ...]


def read_label_cells(table: Table, *, missing_values: Sequence[float], prefer: Kind) -> LabelCells:
    """Read the AU columns of a table; there may be none.

    Args:
        table: of labels.
        missing_values: numbers that mean "not annotated" in this data set, besides -1 and empty cells.
        prefer: which columns to read if a tool wrote both intensities and occurrences; the other kind is left out,
            because its units differ.

    Raises:
        DataError: a repeated AU, or a cell that is not a label.
    """
    columns = _au_columns(table, prefer)
    scores, marks, spellings = _all_scores(table, columns)
    scores[np.isin(scores, [_UNKNOWN, *missing_values])] = np.nan
    lettered = {au for au, spelled in spellings.items() if _is_lettered(spelled)}
    unused = [
        name
        for name in table.header
        if looks_like_au(name) and ((column := parse_column(name)) is None or column.au not in columns)
    ]
    return LabelCells(
        aus=tuple(columns),
        scores=scores,
        logical=frozenset(au for au, spelled in spellings.items() if not _LOGICAL.keys().isdisjoint(spelled)),
        notes=(
            *(marks.note if columns else ()),
            *((f"letters A to E read as intensities 1 to 5: {_in_order(lettered)}",) if lettered else ()),
            *((f"columns not read as AUs: {', '.join(unused)}",) if unused else ()),
        ),
    )


def check_label_cells(table: Table) -> Marks:
    """Check the AU columns of every kind, since a data set will read one of them; return their decimal marks.

    Raises:
        DataError: no AU column, an AU repeated in one kind, or a cell that is not a label.
    """
    found = _columns_by_kind(table)
    if not found:
        raise no_au(table)
    columns = {f"{kind} {au}": position for kind, aus in found.items() for au, position in aus.items()}
    return _all_scores(table, columns)[1]


def no_au(table: Table) -> DataError:
    """Error for a table without labels; columns that look like AUs come first."""
    shown = sorted(filter(None, table.header), key=lambda name: not looks_like_au(name))
    more = ", ..." if len(shown) > 10 else ""
    return DataError(
        f"{table.path}: expected AU columns such as AU12, got {', '.join(shown[:10])}{more}; rename the label columns"
    )


def _columns_by_kind(table: Table) -> dict[Kind, dict[str, int]]:
    found: dict[Kind, dict[str, int]] = {}
    for position, header in enumerate(table.header):
        column = parse_column(header)
        if column is None:
            continue
        positions = found.setdefault(column.kind, {})
        if column.au in positions:
            raise DataError(
                f"{table.path}: expected one column for {column.au}, got '{table.header[positions[column.au]]}' and "
                f"'{header}'; remove one"
            )
        positions[column.au] = position
    return found


def _au_columns(table: Table, prefer: Kind) -> dict[str, int]:
    """Position of each AU's column; all are of one kind, because they must share one scale."""
    found = _columns_by_kind(table)
    order: tuple[Kind, ...] = (prefer, "label", "intensity", "occurrence")
    chosen = next((found[kind] for kind in order if kind in found), {})
    if lost := {au for positions in found.values() for au in positions} - set(chosen):
        log.warning(
            "%s: left out %s, whose only columns have different units from '%s'",
            *(table.path, _in_order(lost), table.header[next(iter(chosen.values()))]),
        )
    return chosen


def _all_scores(
    table: Table, columns: Mapping[str, int]
) -> tuple[NDArray[np.float64], Marks, dict[str, dict[str, None]]]:
    """Cells of columns as numbers (N, C), their decimal marks, and the distinct cells of each column in lower case."""
    spellings = {
        name: {text.lower(): None for text in dict.fromkeys(table.columns[position])}
        for name, position in columns.items()
    }
    marks = find_marks(text for spelled in spellings.values() for text in spelled)
    scores = np.empty((len(table), len(columns)))
    for number, (name, position) in enumerate(columns.items()):
        scores[:, number] = _scores(table, position, marks, letters=_is_lettered(spellings[name]))
    return scores, marks, spellings


def _is_lettered(texts: Iterable[str]) -> bool:
    said = set(texts).difference(MISSING)
    return said <= _LETTERS.keys() and any(text.isalpha() for text in said)


def _scores(table: Table, position: int, marks: Marks, *, letters: bool) -> NDArray[np.float64]:
    codes: Mapping[str, float] = _LETTERS if letters else _LOGICAL
    texts = table.columns[position]
    known: dict[str, float] = {}
    for text in dict.fromkeys(texts):
        lower = text.lower()
        try:
            number = codes[lower] if lower in codes else read_number(lower, marks)
        except AmbiguousNumberError:
            raise _no_label(table, position, texts.index(text), "which may mean a fraction or thousands") from None
        except ValueError:
            raise _no_label(table, position, texts.index(text), "") from None
        known[text] = np.nan if number is None else number
    return np.fromiter(map(known.__getitem__, texts), np.float64, len(texts))


def _no_label(table: Table, position: int, row: int, doubt: str) -> DataError:
    step = "write it with a decimal point" if doubt else "write the score, or leave the cell empty if it is unknown"
    return DataError(
        f"{table.where(row)}: expected a number in column '{table.header[position]}', got "
        f"'{table.columns[position][row]}'{f', {doubt}' if doubt else ''}; {step}"
    )


def _in_order(aus: set[str]) -> str:
    return ", ".join(sorted(aus, key=sort_key))
