"""One table written in every dialect reads the same; the writer here is the standard library, the values are stated."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import logging
import lzma
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from faceflow.errors import DataError
from faceflow.tables.label_cells import LabelCells, read_label_cells
from faceflow.tables.reading import read_table
from faceflow.tables.table import Table

HEADER = ("filename", "AU1", "AU12_L", "subject", "note")
FILES = ["größe/1.jpg", "a b.jpg", "c.jpg", "d.jpg"]
SUBJECTS = ["007", "Zoë", "s 1", "é"]
NOTES = ["plain", "x", "", 'says "hm"']
SCORES = [[0.5, 3.0], [2.25, np.nan], [0.0, 5.0], [4.0, 1.125]]

SEPARATORS, DECIMALS, NEWLINES = ",;\t|", ".,", ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252")


def written(separator: str, decimal: str, newline: str, quoting: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(HEADER)
    for name, scores, subject, note in zip(FILES, SCORES, SUBJECTS, NOTES, strict=True):
        cells = ["" if np.isnan(score) else f"{score:g}".replace(".", decimal) for score in scores]
        writer.writerow([name, *cells, subject, note])
    return text.getvalue()


def read(path: Path, content: bytes) -> tuple[Table, LabelCells]:
    path.write_bytes(content)
    table = read_table(path, key="data.labels")
    return table, read_label_cells(table, missing_values=[], prefer="intensity")


def check_values(table: Table, labels: LabelCells) -> None:
    assert table.header == HEADER
    assert (table.named("filename"), table.named("subject"), table.named("note")) == (FILES, SUBJECTS, NOTES)
    assert labels.aus == ("AU1", "AU12_L")
    np.testing.assert_array_equal(labels.scores, SCORES)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_table_is_the_same_in_every_dialect(tmp_path: Path, separator: str, encoding: str) -> None:
    for decimal, newline, quoting in itertools.product(DECIMALS, NEWLINES, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)):
        text = written(separator, decimal, newline, quoting)
        for before, after in (("", ""), ("sep=" + separator + newline, 2 * newline)):
            table, labels = read(tmp_path / "t.csv", (before + text + after).encode(encoding))
            check_values(table, labels)
            assert list(table.lines) == [2 + bool(before) + row for row in range(4)]
            assert ("decimal commas" in labels.notes) == (decimal == ",")


def test_numbers_at_random_survive_every_decimal_mark(tmp_path: Path) -> None:
    draw = random.Random(0)
    values = [round(draw.uniform(0, 5), draw.randrange(4)) for _ in range(300)]
    for separator, decimal in itertools.product(SEPARATORS, DECIMALS):
        rows = [[f"{n}.jpg", repr(value).replace(".", decimal)] for n, value in enumerate(values)]
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([["filename", "AU1"], *rows])
        _, labels = read(tmp_path / "t.csv", text.getvalue().encode())
        assert labels.scores[:, 0].tolist() == values


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_unpacked(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    check_values(*read(tmp_path / "t.csv.packed", pack(written(",", ".", "\n", csv.QUOTE_MINIMAL).encode())))


def test_an_archive_of_one_table_is_that_table(tmp_path: Path) -> None:
    for names in (["t.csv"], ["a.csv", "b.csv"]):
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            for name in names:
                archive.writestr(name, written(";", ",", "\r\n", csv.QUOTE_MINIMAL))
        if len(names) == 1:
            check_values(*read(tmp_path / "t.zip", (tmp_path / "t.zip").read_bytes()))
        else:
            with pytest.raises(DataError, match=r"t\.zip: expected a CSV file, .* got an archive of 2; save"):
                read_table(tmp_path / "t.zip", key="data.labels")


def test_a_guessed_encoding_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table, _ = read(tmp_path / "t.csv", "AU1,filename\n1,jürgen.jpg\n".encode("cp1252"))
    assert table.named("filename") == ["jürgen.jpg"]
    assert table.notes == ("read as Windows-1252",)
    assert "not UTF-8, so read as Windows-1252, which gives 'jürgen.jpg'; if that is" in caplog.text


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_separator_other_than_a_comma_is_reported(tmp_path: Path, separator: str) -> None:
    table, _ = read(tmp_path / "t.csv", f"AU1{separator}filename\n1{separator}a,b.jpg\n".encode())
    assert table.named("filename") == ["a,b.jpg"]
    assert table.notes == ({";": "semicolons", "\t": "tabs", "|": "bars"}[separator] + " between columns",)


def test_a_cell_over_several_lines_counts_them(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "t.csv", b'AU1,filename,note\n1,a.jpg,"two\nlines"\n\n2,b.jpg,\n')
    assert list(table.lines) == [2, 5]


def test_blank_lines_columns_without_a_name_and_empty_cells_at_the_end_do_not_matter(tmp_path: Path) -> None:
    table, labels = read(tmp_path / "t.csv", b"\n,AU1,filename,\n0,1,a.jpg,,,\n1,2,b.jpg\n , ,\n\n")
    assert (table.named("filename"), list(table.lines)) == (["a.jpg", "b.jpg"], [3, 4])
    assert labels.scores.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: expected a header, got an empty line; write AU columns"),
        (b"AU1 filename\n1 a.jpg\n", ": expected commas, semicolons or tabs between columns, got spaces in 'AU1 filen"),
        (b'AU1,filename\n1,"a.jpg\n2,b.jpg\n', ":2: expected closed quotes, got 'a quote that is never clo"),
        (b"AU1,filename\n1,5,a.jpg\n", ":2: expected 2 cells as in the header (line 1), got 3; remove the extra"),
        (b"AU1,filename\n1,\x81.jpg\n", ":2: expected UTF-8 text, got the byte 0x81; save it as 'CSV UTF-8'"),
        (
            b"\xff\xfeA\x00U",
            ": expected UTF-16 text, as its first bytes indicate, got 'truncated data' at byte 4; save it",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ": expected a CSV file, got an old Excel file (.xls); save it as CSV"),
        (b"PK\x03\x04rest", ": expected a complete archive, got 'File is not a zip file'; save the table as CSV"),
        (b"\x1f\x8b\x08rest", ": expected a complete compressed file, got '"),
        (b"PAR1rest", ": expected a complete Parquet file, got '"),
    ],
)
def test_an_unreadable_table_gives_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv", key="data.labels")
    assert str(caught.value).removeprefix(str(tmp_path / "t.csv")).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_is_a_table(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"filename": FILES, "AU1": [row[0] for row in SCORES], "AU12_L": [3, None, 5, 1], "subject": SUBJECTS}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table, labels = read(tmp_path / "t.parquet", (tmp_path / "t.parquet").read_bytes())
    assert (table.named("filename"), table.named("subject")) == (FILES, SUBJECTS)
    np.testing.assert_array_equal(labels.scores, [[0.5, 3], [2.25, np.nan], [0, 5], [4, 1]])


def test_a_workbook_is_read_where_openpyxl_is_and_else_says_how(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    try:
        from openpyxl import Workbook
    except ImportError:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/workbook.xml", "")
        with pytest.raises(DataError, match=r"t\.xlsx: expected a CSV file, got an Excel workbook; save it as "):
            read_table(path, key="data.labels")
        return
    book = Workbook()
    book.active.title = "codes"
    for row in [["filename", "AU1", "AU2", "subject"], ["a.jpg", 1.0, True, 7], [], ["b.jpg", 2.5, None, "x"]]:
        book.active.append(row)
    book.create_sheet("legend").append(["0 to 5"])
    book.save(path)
    table, labels = read(path, path.read_bytes())
    assert [table.row(0), table.row(1)] == [["a.jpg", "1", "True", "7"], ["b.jpg", "2.5", "", "x"]]
    assert (list(table.lines), table.notes) == ([2, 4], ("read from 'codes', the first of 2 sheets",))
    np.testing.assert_array_equal(labels.scores, [[1, 1], [2.5, np.nan]])
