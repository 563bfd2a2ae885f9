"""Writes rows as they come, so that a run that ends early leaves a readable table."""

from __future__ import annotations

import abc
import contextlib
import csv
import importlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from faceflow.checks import check_installed
from faceflow.errors import ConfigError, DataError
from faceflow.inference.cells import Cell, Field

STDOUT = "-"

_ROWS_AT_ONCE = 500
_READER_GONE = 141  # exit code of a shell command that SIGPIPE ended


def partial_name(path: Path) -> Path:
    """Name of a file until it is complete: `faces.partial.csv` for `faces.csv`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class RowFile(abc.ABC):
    """A table that grows by whole rows under `partial_name`, and gets its final name if the block ends without error.

    Otherwise the complete rows stay in the partial file, which is removed if there are none.

    Args:
        path: final file of the table.
        columns: columns of the table.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[Field]) -> None:
        self.path = path
        self.partial = partial_name(path)
        self.columns = columns
        self.rows = 0
        self._complete: int | None = None  # bytes of whole rows, as a full disk can cut a row

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close()
            if kind is None:
                self.partial.replace(self.path)
        except OSError as failure:
            if kind is None:
                raise self._unwritable(failure) from failure
        finally:
            if kind is not None:
                self._tidy()

    def write(self, cells: Sequence[Cell]) -> None:
        """Add a row; None is an empty cell."""
        try:
            self._write(cells)
        except OSError as error:
            raise self._unwritable(error) from error
        self.rows += 1

    def _tidy(self) -> None:
        """Keep only whole rows, and no file without rows."""
        with contextlib.suppress(OSError):
            if self.rows == 0:
                self.partial.unlink(missing_ok=True)
            elif self._complete is not None:
                os.truncate(self.partial, self._complete)

    @abc.abstractmethod
    def _open(self) -> None: ...

    @abc.abstractmethod
    def _write(self, cells: Sequence[Cell]) -> None: ...

    @abc.abstractmethod
    def _close(self) -> None: ...

    def _unwritable(self, error: OSError) -> DataError:
        reason = error.strerror or str(error)
        return DataError(f"{self.path}: expected a writable file, got '{reason}'; check disk and path")


class CsvRows(RowFile):
    """Comma-separated values with a header."""

    file: IO[str]

    def _open(self) -> None:
        self.file = self.partial.open("w", encoding="utf-8", newline="", buffering=1)  # whole lines reach the disk
        try:
            self._begin()
        except OSError:
            with contextlib.suppress(OSError):
                self.file.close()
            raise

    def _begin(self) -> None:
        self._writer = csv.writer(self.file, lineterminator="\n")
        self._writer.writerow([column.name for column in self.columns])

    def _write(self, cells: Sequence[Cell]) -> None:
        self._writer.writerow([_text(cell) for cell in cells])
        self._complete = os.fstat(self.file.fileno()).st_size

    def _close(self) -> None:
        self.file.close()


class StdoutRows(CsvRows):
    """CSV for the next program in a pipe, row by row; ends quietly when that program stops reading."""

    def __init__(self, columns: Sequence[Field]) -> None:
        super().__init__(Path(STDOUT), columns)

    def __enter__(self) -> Self:
        if sys.__stdout__ is None:
            raise DataError("output: expected a writable standard output, got a closed one; name a file")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as in a file, whatever the terminal's encoding
        self.file = sys.stdout
        with self._flushed():
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _write(self, cells: Sequence[Cell]) -> None:
        with self._flushed():
            self._writer.writerow([_text(cell) for cell in cells])

    @contextlib.contextmanager
    def _flushed(self) -> Iterator[None]:
        try:
            yield
            self.file.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())  # Python flushes again on exit
            if isinstance(error, BrokenPipeError):
                raise SystemExit(_READER_GONE) from None
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DataError:
        reason = error.strerror or str(error)
        return DataError(f"output: expected a writable standard output, got '{reason}'; check where it goes")


class JsonRows(RowFile):
    """A JSON object per line; empty cells are null."""

    def _open(self) -> None:
        self._file = self.partial.open("w", encoding="utf-8", buffering=1)
        self._names = [column.name for column in self.columns]

    def _write(self, cells: Sequence[Cell]) -> None:
        rounded = (float(f"{cell:.8g}") if isinstance(cell, float) else cell for cell in cells)
        row = dict(zip(self._names, rounded, strict=True))
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._complete = os.fstat(self._file.fileno()).st_size

    def _close(self) -> None:
        self._file.close()


class ParquetRows(RowFile):
    """Parquet in groups of rows. If the process is killed, the file is unreadable, as its index is written last."""

    _TYPES: ClassVar[Mapping[str, str]] = {"text": "string", "whole": "int64", "number": "float64"}

    def _open(self) -> None:
        check_installed("pyarrow", key="output", install="pyarrow", instead="choose .csv or .jsonl")
        self._arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        fields = [(column.name, self._arrow.type_for_alias(self._TYPES[column.kind])) for column in self.columns]
        self._schema = self._arrow.schema(fields)
        self._writer = parquet.ParquetWriter(str(self.partial), self._schema)
        self._waiting: list[Sequence[Cell]] = []

    def _write(self, cells: Sequence[Cell]) -> None:
        self._waiting.append(cells)
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            arrays = [
                self._arrow.array(values, field.type)
                for values, field in zip(zip(*self._waiting, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._waiting = []

    def _close(self) -> None:
        try:
            self._flush()
            self._writer.close()
        except (OSError, self._arrow.ArrowInvalid) as error:  # the latter if an earlier write failed
            self.rows = 0  # without the index, no row can be read
            raise error if isinstance(error, OSError) else OSError(str(error)) from error


FORMATS: dict[str, type[RowFile]] = {".csv": CsvRows, ".jsonl": JsonRows, ".parquet": ParquetRows}


def row_file(output: str, columns: Sequence[Field], *, key: str = "output") -> RowFile:
    """Choose the format of a table by its suffix; `key` names it in messages.

    Raises:
        ConfigError: unknown suffix.
    """
    if output == STDOUT:
        return StdoutRows(columns)
    path = Path(output)
    if path.suffix.lower() not in FORMATS:
        stdout = ", or -" if key == "output" else ""
        raise ConfigError(f"{key}: expected a file that ends in {', '.join(FORMATS)}{stdout}, got '{output}'")
    return FORMATS[path.suffix.lower()](path, columns)


def _text(cell: Cell) -> Cell:
    return "" if cell is None else f"{cell:.8g}" if isinstance(cell, float) else cell
