"""Tables that grow row by row: their content after a normal and an early end."""

from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.inference.cells import Column
from faceflow.inference.output import partial_name, row_file

COLUMNS = [
    Column(name=name, kind=kind, cell=lambda frame, face: None)
    for name, kind in (("file", "text"), ("frame", "whole"), ("p", "number"))  # type: ignore[attr-defined]
]
ROWS = [['a "b", é.mp4', 1, 0.123456789012], [None, 2, None], ["c", None, 1e-7]]


def write(path: Path | str, rows: Any = ROWS) -> None:
    with row_file(str(path), COLUMNS) as table:
        for row in rows:
            table.write(row)


def interrupted() -> Iterator[Any]:
    yield from ROWS
    raise KeyboardInterrupt


def test_csv_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new/a.csv"
    write(path)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read == [["file", "frame", "p"], ['a "b", é.mp4', "1", "0.12345679"], ["", "2", ""], ["c", "", "1e-07"]]
    assert list(path.parent.iterdir()) == [path]


def test_jsonl_is_an_object_per_line(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert lines[0] == {"file": 'a "b", é.mp4', "frame": 1, "p": 0.12345679}
    assert lines[1] == {"file": None, "frame": 2, "p": None}


def test_parquet_has_typed_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [["a", number, None if number % 2 else number / 4] for number in range(1201)]  # several groups
    write(tmp_path / "a.parquet", rows)
    read = parquet.read_table(tmp_path / "a.parquet")
    assert [str(field.type) for field in read.schema] == ["string", "int64", "double"]
    assert [list(row.values()) for row in read.to_pylist()] == rows


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ConfigError, match="^output: expected pyarrow to be installed, got none; run: pip install pyarrow, or choose"
    ):
        write(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_early_end_leaves_complete_rows_under_another_name(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_text("what was there before", encoding="utf-8")
    whole = tmp_path / f"whole{path.suffix}"
    write(whole)
    with pytest.raises(KeyboardInterrupt):
        write(path, interrupted())
    assert path.read_text("utf-8") == "what was there before"
    assert partial_name(path) == tmp_path / f"a.partial{path.suffix}"
    assert partial_name(path).read_bytes() == whole.read_bytes()


def test_rows_reach_the_disk_at_once(tmp_path: Path) -> None:
    with row_file(str(tmp_path / "a.csv"), COLUMNS) as table:
        table.write(ROWS[0])
        assert (tmp_path / "a.partial.csv").read_text("utf-8").count("\n") == 2


def test_nothing_is_left_of_a_run_without_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="early"), row_file(str(tmp_path / "a.csv"), COLUMNS):
        raise ValueError("early")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="expected a writable file, got '.+'; check disk and path"):
        write(tmp_path / "file/a.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.partial.csv").symlink_to("/dev/full")
    with pytest.raises(DataError, match="a.csv: expected a writable file, got 'No space left on device'"):
        write(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_disk_that_fills_up_leaves_whole_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(tmp_path / f"whole{suffix}", ROWS * 50)
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match="expected a writable file, got 'File too large'"):
            write(path, ROWS * 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = partial_name(path).read_bytes()
    assert 900 < len(left) < 1000
    assert whole.startswith(left)
    assert left.endswith(b"\n")


def test_a_parquet_table_that_a_full_disk_cuts_is_removed(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match="a.parquet: expected a writable file, got"):
            write(tmp_path / "a.parquet", ROWS * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    code = (
        "import sys\n"
        "from tests.unit.inference.test_output import COLUMNS, ROWS, DataError, row_file\n"
        "try:\n"
        "    with row_file('-', COLUMNS) as table:\n"
        "        table.write(ROWS[0])\n"
        "except DataError as error:\n"
        "    sys.exit(str(error))\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
        )
    assert done.stderr == (
        "output: expected a writable standard output, got 'No space left on device'; check where it goes\n"
    )
    assert done.returncode == 1


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="output: expected a file that ends in .csv, .jsonl, .parquet, or -, got 'a.xls'"
    ):
        row_file("a.xls", [])


def test_stdout_is_csv(capsys: pytest.CaptureFixture[str]) -> None:
    write("-")
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:] == [
        ['a "b", é.mp4', "1", "0.12345679"],
        ["", "2", ""],
        ["c", "", "1e-07"],
    ]


def test_a_reader_that_has_enough_ends_the_run_quietly() -> None:
    code = (
        "from tests.unit.inference.test_output import COLUMNS, ROWS, row_file\n"
        "with row_file('-', COLUMNS) as table:\n"
        "    while True: table.write(ROWS[0])\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"file,frame,p\n"
    run.stdout.close()
    assert run.stderr is not None
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait(30) == 141
