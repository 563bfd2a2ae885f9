"""A table of the terminal as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator

from rich.table import Column, Table
from rich.text import Text


def html_table(table: Table) -> str:
    """Translate a table: header, rows and caption; the title is left to the page."""
    header = "".join(f"<th{_class(_align(column))}>{_cell(column.header)}</th>" for column in table.columns)
    caption = f"<caption>{_cell(table.caption)}</caption>" if table.caption else ""
    return f"<table>{caption}<thead><tr>{header}</tr></thead><tbody>{''.join(_rows(table))}</tbody></table>"


def _rows(table: Table) -> Iterator[str]:
    columns = [list(column.cells) for column in table.columns]
    section = False
    for number, row in enumerate(table.rows):
        cells = "".join(
            f"<td{_class(_align(column), _wrap(column), _alert(cells[number]))}>{_cell(cells[number])}</td>"
            for column, cells in zip(table.columns, columns, strict=True)
        )
        yield f"<tr{_class(str(row.style or ''), 'section' if section else '')}>{cells}</tr>"
        section = row.end_section


def _align(column: Column) -> str:
    return "right" if column.justify == "right" else ""


def _wrap(column: Column) -> str:
    return "" if column.no_wrap else "wrap"


def _alert(cell: object) -> str:
    return "alert" if isinstance(cell, Text) and "red" in str(cell.style) else ""


def _class(*names: str) -> str:
    named = " ".join(filter(None, names))
    return f' class="{html.escape(named)}"' if named else ""


def _cell(cell: object) -> str:
    return html.escape(cell.plain if isinstance(cell, Text) else str(cell))
