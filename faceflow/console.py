"""What commands print on the terminal: tables and lines."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from faceflow.files import whole_file

_FILE_WIDTH = 110


def new_table(title: str, caption: str) -> Table:
    """Empty table in the common style."""
    # Text, not str: rich would read brackets in names of data sets as markup.
    return Table(
        title=Text(title, "bold"),
        caption=Text(caption, "dim") if caption else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
        pad_edge=False,
    )


def add_columns(table: Table, headers: Sequence[str], justify: Literal["left", "right"]) -> None:
    """Add columns; those of running text may wrap."""
    for header in headers:
        wraps = header in ("description", "labels", "data set")
        table.add_column(Text(header), justify=justify, no_wrap=not wraps, overflow="fold")


def plain_table(title: str, texts: Sequence[str], numbers: Sequence[str], *, caption: str = "") -> Table:
    """Empty table in the common style: columns of text first, aligned left, then numbers, aligned right."""
    table = new_table(title, caption)
    add_columns(table, texts, "left")
    add_columns(table, numbers, "right")
    return table


def add_row(table: Table, cells: Sequence[str], style: str = "") -> None:
    """Add cells as plain text; rich would read brackets in them as markup."""
    table.add_row(*map(Text, cells), style=style)


def number(value: float, digits: int = 3) -> str:
    """Format a number for a cell; an undefined one is a dash, and one that rounds to zero has no sign."""
    return f"{value:z.{digits}f}" if np.isfinite(value) else "-"


def print_tables(*tables: Table, saved_to: Path | None = None) -> None:
    """Print tables to stdout and, if wanted, write them as plain text too.

    Raises:
        DataError: the file cannot be written.
    """
    console = Console()
    narrowest, widest = _widths(tables)
    # Numbers are never truncated: a terminal that is too narrow wraps the lines.
    console.width = max(console.width, narrowest) if console.is_terminal else max(_FILE_WIDTH, widest)
    _print(console, tables)
    if saved_to is not None:
        save_tables(*tables, path=saved_to)


def save_tables(*tables: Table, path: Path) -> None:
    """Write tables as plain text.

    Raises:
        DataError: the file cannot be written.
    """
    _, widest = _widths(tables)
    plain = Console(file=io.StringIO(), width=max(_FILE_WIDTH, widest), color_system=None, force_terminal=False)
    with plain.capture() as capture:
        _print(plain, tables)
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def print_lines(*lines: str) -> None:
    """Print lines to stdout unchanged, for results that are not tables."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _print(console: Console, tables: Sequence[Table]) -> None:
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(table)


def _widths(tables: Sequence[Table]) -> tuple[int, int]:
    """Smallest width that truncates no number, and the width at which nothing wraps."""
    roomy = Console(file=io.StringIO(), width=10_000)
    sizes = [Measurement.get(roomy, roomy.options, table) for table in tables]
    return max((size.minimum for size in sizes), default=1), max((size.maximum for size in sizes), default=1)
