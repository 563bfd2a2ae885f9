"""Label tables as users and tools write them (issue 16, points 5 and 6), and variables of trackers (point 9)."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.helpers.odd_inputs.people import half_of_each_au
from tests.helpers.odd_inputs.row import PAGE, POINTER, TRAIN, Row, faces, labels
from tests.integration.command import SMALL


def encoded(encoding: str, change: Callable[[str], str] = lambda text: text) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        faces(folder)
        path = folder / "faces/labels.csv"
        path.write_bytes(change(path.read_text("utf-8")).encode(encoding))

    return prepare


def german(text: str) -> str:
    """Semicolons between columns, and decimal commas."""
    header, *rows = (line.split(",") for line in text.splitlines())
    cells = [[*(f"{score},0" for score in row[:3]), *row[3:]] for row in rows]
    return "".join(f"{';'.join(row)}\n" for row in [header, *cells])


def excel(text: str) -> str:
    return "sep=;\n" + text.replace(",", ";")


TABLE = {
    "right": "the same labels as from a plain CSV",
    "check": half_of_each_au,
    "thread": "issue 16",
    "command": "train",
    "overrides": TRAIN,
}
# fmt: off
ROWS = [
    Row(fed="`;` between columns, decimal commas", prepare=labels(german), **TABLE),
    Row(fed="Excel's first line `sep=;`", prepare=labels(excel), **TABLE),
    Row(fed="UTF-16, as in Excel's `Unicode text`", prepare=encoded("utf-16"), **TABLE),
    Row(fed="tabs between columns", prepare=labels(lambda text: text.replace(",", "\t")), **TABLE),
    Row(fed="`filename` with backslashes (Windows)", prepare=labels(lambda text: re.sub(r"(s\d)/", r"\1\\", text)), **TABLE),
    Row(fed="`Subject` instead of `subject`", thread="issue 16", command="train", overrides=TRAIN, prepare=labels(lambda text: text.replace("subject", "Subject", 1)),
        line="DataError: {folder}/faces/labels.csv*: expected *subject*, got *Subject*; *"),
    Row(fed="`subject_id` instead of `subject`", thread="issue 16", command="train", overrides=TRAIN, prepare=labels(lambda text: text.replace("subject", "subject_id", 1)),
        line="DataError: {folder}/faces/labels.csv*: expected *subject*, got *subject_id*; *"),
    Row(fed="row with two cells too many", thread="qiita-spots/qiita#3076", command="train", overrides=TRAIN, prepare=labels(lambda text: text.replace("s0/3.png,s0", "s0/3.png,s0,oops,1")),
        line="DataError: {folder}/faces/labels.csv:5: expected *5*, got *7*; *"),
    Row(fed="login page saved as the CSV", thread="pytorch/pytorch#16203", command="train", overrides=TRAIN, prepare=labels(lambda text: PAGE),
        line="DataError: *: expected *, got a web page: *; download the file itself"),
    Row(fed="CSV from a clone without Git LFS", thread="hhj1897/face_parsing#3", command="train", overrides=TRAIN, prepare=labels(lambda text: POINTER),
        line="DataError: *: expected *, got a Git LFS pointer to it: *; run: git lfs pull"),
    Row(fed="address with an unknown scheme", thread="issue 16", command="train", overrides=(*SMALL, "data=csv", "data.labels=store://lab/labels.csv"),
        line="ConfigError: data.*labels: expected s3://, *, got store://; check the address"),
]
