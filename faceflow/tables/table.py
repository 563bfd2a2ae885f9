"""A user's table as text, whatever its file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """N rows of stripped cells: `columns`, one of N cells per name in the header.

    `lines` (N,) are row numbers as in an editor or a spreadsheet. `notes` list the reader's assumptions.
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
        """Cells of the column with a name; None if there is none.

        Raises:
            DataError: several columns have the name.
        """
        if self.header.count(name) > 1:
            raise DataError(f"{self.path}: expected one column '{name}', got {self.header.count(name)}; remove one")
        return self.columns[self.header.index(name)] if name in self.header else None

    def listed(self) -> str:
        """First columns, for messages."""
        return ", ".join(self.header[:10]) + (", ..." if len(self.header) > 10 else "")
