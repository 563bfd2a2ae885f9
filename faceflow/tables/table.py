"""A table of the user as text, whatever file it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """N rows of cells without outer spaces: `columns`, one of N cells per name of the header.

    `lines` (N,) number the rows as an editor or a spreadsheet does. `notes` say what the reader took for granted.
    """

    path: Path
    header: tuple[str, ...]
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Count of rows."""
        return len(self.lines)

    def where(self, row: int) -> str:
        """Name a row as `file:line`."""
        return f"{self.path}:{self.lines[row]}"

    def row(self, number: int) -> list[str]:
        """Cells of a row from left to right."""
        return [column[number] for column in self.columns]

    def named(self, name: str) -> Sequence[str] | None:
        """Cells of the column of a name; None where there is none.

        Raises:
            DataError: several columns have the name.
        """
        if self.header.count(name) > 1:
            raise DataError(f"{self.path}: expected one column '{name}', got {self.header.count(name)}; remove one")
        return self.columns[self.header.index(name)] if name in self.header else None

    def listed(self) -> str:
        """First columns, for messages."""
        return ", ".join(self.header[:10]) + (", ..." if len(self.header) > 10 else "")
