"""One reader for all tables of users: CSV in any dialect, Excel workbooks, Parquet."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from faceflow.errors import DataError
from faceflow.stand_ins import stand_in
from faceflow.tables.dialect import Line, decode, split_text
from faceflow.tables.table import Table

_PACKED = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read_table(path: Path, *, key: str) -> Table:
    """Read a table with a header; the format is recognised by the first bytes, not by the name.

    Text may be UTF-8, UTF-16 or Windows-1252, with commas, semicolons, tabs or bars between cells, and compressed with
    gzip, bzip2, xz or zip. Workbooks (.xlsx) need openpyxl, Parquet needs pyarrow. Empty rows are left out.

    Args:
        path: the file.
        key: config key that names it, for messages.

    Raises:
        DataError: no such file, no header, a row longer than the header, or a format that cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"{key}: expected a CSV file, got '{path}' ({reason}); check the path") from error
    if instead := stand_in(path):
        raise DataError(f"{key}: expected a CSV file, got {instead}")
    return _read(path, content)


def _read(path: Path, content: bytes) -> Table:
    """Read a file by its format."""
    for start, unpack in _PACKED.items():
        if content.startswith(start):
            try:
                return _read(path, unpack(content))
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise DataError(f"{path}: expected a complete compressed file, got '{error}'; copy it again") from error
    if content.startswith(b"PK\x03\x04"):
        return _read_zip(path, content)
    if content.startswith(b"PAR1"):
        return _read_parquet(path, content)
    if content.startswith(_OLD_EXCEL):
        raise DataError(f"{path}: expected a CSV file, got an old Excel file (.xls); save it as CSV or .xlsx")
    decoded, notes = decode(path, content)
    text = split_text(path, decoded)
    columns = text.columns()
    if columns is None:
        return _from_lines(path, text.lines(path), notes + text.note)
    return _from_columns(path, columns, text.skipped, notes + text.note)


def _from_lines(path: Path, lines: Iterable[Line], notes: tuple[str, ...]) -> Table:
    filled = ((number, [*map(str.strip, cells)]) for number, cells in lines)
    whole = ((number, cells) for number, cells in filled if any(cells))
    first, names = next(whole, (1, []))
    if not names:
        raise DataError(f"{path}:1: expected a header, got an empty line; write AU columns and 'filename'")
    width = len(names)
    rows, numbers = [], []
    for number, cells in whole:
        if len(cells) > width and any(cells[width:]):
            raise DataError(
                f"{path}:{number}: expected {width} cells as in the header (line {first}), got {len(cells)}; remove "
                "the extra cells, or quote text that contains a separator"
            )
        rows.append(cells[:width] + [""] * (width - len(cells)))
        numbers.append(number)
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    return Table(path=path, header=_header(names), columns=columns, lines=numbers, notes=notes)


def _from_columns(path: Path, columns: Sequence[Sequence[str]], skipped: int, notes: tuple[str, ...]) -> Table:
    """Make a table from columns, each with its name first; `skipped` lines came before them."""
    if any(not cell and not any(column[row] for column in columns) for row, cell in enumerate(columns[0])):
        lines = zip(*columns, strict=True)
        return _from_lines(path, ((number, list(cells)) for number, cells in enumerate(lines, 1 + skipped)), notes)
    numbers = range(2 + skipped, len(columns[0]) + 1 + skipped)
    header = _header([column[0] for column in columns])
    return Table(path=path, header=header, columns=[column[1:] for column in columns], lines=numbers, notes=notes)


def _header(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip("\ufeff'\" ") for name in names)


def _read_zip(path: Path, content: bytes) -> Table:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if "xl/workbook.xml" not in names:
                if len(names) != 1:
                    raise DataError(
                        f"{path}: expected a CSV file, an Excel workbook, or an archive of one file, got an archive of "
                        f"{len(names)}; save the table as CSV"
                    )
                return _read(path, archive.read(names[0]))
    except (zipfile.BadZipFile, RuntimeError, EOFError) as error:  # RuntimeError: it has a password
        raise DataError(f"{path}: expected a complete archive, got '{error}'; save the table as CSV") from error
    return _read_workbook(path, content)


def _read_workbook(path: Path, content: bytes) -> Table:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DataError(
            f"{path}: expected a CSV file, got an Excel workbook; save it as CSV, or pip install openpyxl"
        ) from error
    try:
        with warnings.catch_warnings(action="ignore"):  # of styles that openpyxl does not know
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheets = [(sheet.title, list(sheet.iter_rows(values_only=True))) for sheet in book.worksheets]
    except Exception as error:  # openpyxl passes on errors of its XML parser and converters
        raise DataError(f"{path}: expected an Excel workbook, got '{error}'; save it as CSV") from error
    full = [(title, rows) for title, rows in sheets if any(cell is not None for row in rows for cell in row)]
    title, rows = full[0] if full else ("", [])
    note = (f"read from '{title}', the first of {len(full)} sheets",) if len(full) > 1 else ()
    return _from_lines(path, ((number, _texts(row)) for number, row in enumerate(rows, 1)), note)


def _read_parquet(path: Path, content: bytes) -> Table:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError(f"{path}: expected a CSV file, got Parquet; save it as CSV, or pip install pyarrow") from error
    try:
        found = parquet.read_table(io.BytesIO(content))
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: expected a complete Parquet file, got '{reason}'; save it as CSV") from error
    columns = [
        _texts([name, *column.to_pylist()]) for name, column in zip(found.column_names, found.columns, strict=True)
    ]
    return _from_columns(path, columns, 0, ())


def _texts(cells: Sequence[object]) -> list[str]:
    """Cells as in a CSV; whole numbers without a point, since spreadsheets do not distinguish 1 and 1.0."""
    return [
        "" if cell is None else str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
        for cell in cells
    ]
