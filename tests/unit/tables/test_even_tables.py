"""Tables whose lines are all alike are read by column; the standard library's reader, by line, must agree."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from faceflow.errors import DataError
from faceflow.tables.dialect import split_text
from faceflow.tables.reading import read_table

CELLS = ("0", "1", "2.5", "AU1", "a b", " x", "y ", "", "", "é", "\u00a0z", "\x1c", "-1", "s/1.jpg", "'", "\ufeff")
ODD = ('"q"', 'a"b', "\r", "\0", '"a\nb"')


def random_text(chance: random.Random) -> str:
    """Text of a table whose lines mostly have one width; some have a cell more or less, or nothing."""
    separator, newline = chance.choice(",;\t|"), chance.choice(["\n", "\n", "\r\n", "\r"])
    width = chance.randint(1, 4)
    cells = (*CELLS, *ODD) if chance.random() < 0.2 else CELLS
    uneven = chance.random() < 0.3
    lines = [[f"c{number}" for number in range(width)]]
    for _ in range(chance.randint(0, 6)):
        own = max(0, width + chance.choice([-1, 0, 0, 1])) if uneven else width
        lines.append([chance.choice(cells) for _ in range(own)])
    return newline.join(separator.join(line) for line in lines) + chance.choice(["", newline])


def by_line(text: str) -> tuple[list[list[str]], list[int]] | str:
    """Rows and line numbers as csv.reader has them, without empty ones; or that a row is too long."""
    found = split_text(Path("t.csv"), text)
    reader = csv.reader(io.StringIO(found.body, newline=""), delimiter=found.separator, skipinitialspace=True)
    rows, numbers, first = [], [], 1
    for cells in reader:
        if any(map(str.strip, cells)):
            rows.append([cell.strip() for cell in cells])
            numbers.append(first)
        first = reader.line_num + 1
    width = len(rows[0])
    if any(any(row[width:]) for row in rows):
        return "cells as in the header"
    return [(row + [""] * width)[:width] for row in rows], numbers


@pytest.mark.parametrize("seed", range(8))
def test_both_readers_agree_about_random_tables(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "t.csv"
    even = 0
    for _ in range(100):
        text = random_text(chance)
        path.write_bytes(text.encode())
        try:
            expected = by_line(text)
        except (DataError, csv.Error):
            continue
        if isinstance(expected, str):
            with pytest.raises(DataError, match=expected):
                read_table(path, key="data.labels")
            continue
        rows, numbers = expected
        table = read_table(path, key="data.labels")
        assert list(table.lines) == numbers[1:], repr(text)
        assert [table.row(row) for row in range(len(table))] == rows[1:], repr(text)
        even += split_text(path, text).columns() is not None
    assert even > 20


def test_a_line_that_names_the_separator_is_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\na;b\n1;2\n3;4\n")
    table = read_table(tmp_path / "t.csv", key="data.labels")
    assert (table.header, list(table.lines)) == (("a", "b"), [3, 4])
    assert table.where(1).endswith("t.csv:4")


def test_empty_lines_among_even_ones_are_left_out_but_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n,\n , \n3,4\n")
    table = read_table(tmp_path / "t.csv", key="data.labels")
    assert [table.row(row) for row in range(len(table))] == [["1", "2"], ["3", "4"]]
    assert list(table.lines) == [2, 5]


@pytest.mark.parametrize("text", ['a,b\n"1",2\n', "a,b\n1\n", "a,b\n1,2,\n", "a,b\n\n1,2\n", "a\n1\n", "a,b\r1,2\r"])
def test_other_tables_are_read_by_line(text: str) -> None:
    assert split_text(Path("t.csv"), text).columns() is None
