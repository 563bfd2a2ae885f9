"""Label files: a CSV with AU columns becomes checked numbers, with missing labels as NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import Kind, joined, parse_column, side_of
from faceflow.data.packed import table_of
from faceflow.encoding import Array
from faceflow.errors import DataError
from faceflow.tables.columns import LABELLED_BY, name_columns, no_column
from faceflow.tables.label_cells import no_au, read_label_cells
from faceflow.tables.table import Table

_TEXT_COLUMNS = ("filename", "subject", "domain", "video", "coder", LABELLED_BY)


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A label file as written: `scores` (N, C) in its own units, NaN = missing; `aus` names the C columns.

    `frame` has the text columns in use: filename, subject, domain, video, coder, labelled_by. `lines` (N,) are line
    numbers as an editor counts them; `logical` are the AUs whose labels are written as True and False; `notes` list
    the reader's assumptions. `attributes` are other requested columns that the file has, and `further` the names of
    all columns that are not AUs.
    """

    path: Path
    frame: pd.DataFrame
    aus: tuple[str, ...]
    scores: Array
    lines: NDArray[np.int64]
    logical: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    further: tuple[str, ...] = ()

    def labelled_by(self, rows: NDArray[np.intp] | slice = slice(None)) -> tuple[str, ...]:
        """Models that labelled some rows."""
        if LABELLED_BY not in self.frame.columns:
            return ()
        return tuple(sorted({str(name) for name in self.frame[LABELLED_BY].iloc[rows] if name}))

    def where(self, row: int) -> str:
        """Name a row as `file:line`."""
        return f"{self.path}:{self.lines[row]}"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Labels of N rows: `occurrence` (N, A) bool, `intensity` (N, A) FACS 0-5 or NaN, `observed` (N, A)."""

    aus: tuple[str, ...]
    occurrence: NDArray[np.bool_]
    intensity: Array
    observed: NDArray[np.bool_]


def read_labels(
    path: str | Path,
    *,
    missing_values: Sequence[float],
    prefer: Kind,
    columns: Mapping[str, str | None],
    key: str,
    attributes: Sequence[str] = (),
) -> LabelFile:
    """Read a table of labels: AU columns, `filename`, and optional text columns.

    These are `subject`, `frame`, `video`, `domain` and `coder`.

    Args:
        path: CSV or another format of `read_table`, or a packed set.
        missing_values: numbers that mean "not annotated" in this data set, besides -1 and empty cells.
        prefer: which columns to read if a tool wrote both intensities and occurrences; the other kind is left out,
            because its units differ.
        columns: standard name -> what the file calls it, as in `name_columns`.
        key: config key of the path, for messages.
        attributes: names of other columns to keep as text; a file may lack them.

    Raises:
        DataError: no file, no rows, no `filename`, no AU, a repeated column, or text in a label column.
    """
    return _read(path, columns, missing_values, prefer, key, labelled=True, attributes=attributes)


def read_listing(
    path: str | Path, *, missing_values: Sequence[float], prefer: Kind, columns: Mapping[str, str | None], key: str
) -> LabelFile:
    """Read a table that may have no AU column; see `read_labels`."""
    return _read(path, columns, missing_values, prefer, key, labelled=False)


def _read(
    path: str | Path,
    columns: Mapping[str, str | None],
    missing_values: Sequence[float],
    prefer: Kind,
    key: str,
    *,
    labelled: bool,
    attributes: Sequence[str] = (),
) -> LabelFile:
    written = table_of(Path(path).expanduser(), key=key)
    table = name_columns(written, columns, key=f"{key.rpartition('.')[0]}.columns")
    if "filename" not in table.header:
        raise no_column(table.path, table, "filename", key=f"{key.rpartition('.')[0]}.columns")
    if labelled and not any(map(parse_column, table.header)):
        raise no_au(table)
    if not len(table):
        raise DataError(f"{table.path}: expected rows, got only a header; add rows or remove the file")
    cells = read_label_cells(table, missing_values=missing_values, prefer=prefer)
    texts = {name: _checked_texts(table, name) for name in _TEXT_COLUMNS if name in table.header}
    return LabelFile(
        path=table.path,
        frame=pd.DataFrame(texts, dtype=str),
        aus=cells.aus,
        scores=cells.scores,
        lines=np.array(table.lines, np.int64),
        logical=cells.logical,
        notes=(*table.notes, *cells.notes),
        attributes={
            name: np.asarray(_checked_texts(written if name in written.header else table, name), np.str_)
            for name in attributes
            if name in {*written.header, *table.header}
        },
        further=tuple(name for name in written.header if not parse_column(name)),
    )


def scores_for(aus: Sequence[str], columns: Sequence[str], scores: Array) -> Array:
    """Labels of the requested AUs, from the columns of a data set.

    Two sides are joined by their maximum; if one side is 0 and the other missing, the result is missing, since the
    other may be active. A joined 0 means 0 on both sides; a joined positive does not say which side, so both sides
    are missing.

    Args:
        aus: A requested AUs.
        columns: C AUs that the data set labels.
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


def _checked_texts(table: Table, name: str) -> Sequence[str]:
    """Read a text column; raise for a repeated column, or for a NUL character, which file names cannot have."""
    texts = table.named(name) or []
    if "\0" in "".join(texts):
        row, cell = next((row, cell) for row, cell in enumerate(texts) if "\0" in cell)
        raise DataError(
            f"{table.where(row)}: expected text in column '{name}', got a NUL character in {cell!r}; save the file as "
            "UTF-8 text"
        )
    return texts
