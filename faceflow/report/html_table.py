"""A table of the terminal as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup
from rich.table import Column, Table
from rich.text import Text

from faceflow.report.html import render


class _Cell(NamedTuple):
    text: str
    style: str  # classes of the style sheet


def html_table(table: Table) -> Markup:
    """Translate a table: header, rows and caption; the title is left to the page."""
    header = [_Cell(_text(column.header), _align(column)) for column in table.columns]
    return render("table.html.jinja", caption=_text(table.caption or ""), header=header, rows=list(_rows(table)))


def _rows(table: Table) -> Iterator[tuple[str, list[_Cell]]]:
    """Classes and cells of every row."""
    columns = [list(column.cells) for column in table.columns]
    section = False
    for number, row in enumerate(table.rows):
        cells = []
        for column, entries in zip(table.columns, columns, strict=True):
            entry = entries[number]
            alert = isinstance(entry, Text) and "red" in str(entry.style)
            styles = [_align(column), "" if column.no_wrap else "wrap", "alert" if alert else ""]
            cells.append(_Cell(_text(entry), " ".join(filter(None, styles))))
        yield " ".join(filter(None, [str(row.style or ""), "section" if section else ""])), cells
        section = row.end_section


def _align(column: Column) -> str:
    return "right" if column.justify == "right" else ""


def _text(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
