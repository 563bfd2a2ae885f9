"""A run as one self-contained page: its numbers, pictures, protocol, data, config and record in one file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.table import Table

from faceflow.files import whole_file
from faceflow.report.html import render
from faceflow.report.html_table import html_table
from faceflow.report.palette import BLUE, GRAY, INK, PALE, VERMILION


@dataclass(frozen=True, kw_only=True)
class Report:
    """Content of a page; empty parts are left out.

    `numbers` are the headline: name -> value and the text below it. `pictures` maps files in the folder of the page to
    captions, `links` maps texts to addresses relative to it. `record` holds plain values, which can be nested.
    """

    title: str
    about: str
    numbers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    protocol: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Table] = ()
    pictures: Mapping[Path, str] = field(default_factory=dict)
    data: Sequence[Table] = ()
    config: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> Path:
    """Write a page that needs no other file, and return its path.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text(report_page(report, path.parent), encoding="utf-8")
    return path


def report_page(report: Report, folder: Path) -> str:
    """Lay out a page of a folder as HTML."""
    return render(
        "report.html.jinja",
        report=report,
        results=_tables(report.results),
        data=_tables(report.data),
        pictures=[_Picture.read(path, caption, folder) for path, caption in report.pictures.items()],
        record=dict(_flat(report.record)),
        blue=BLUE,
        gray=GRAY,
        ink=INK,
        vermilion=VERMILION,
        pale=PALE,
    )


@dataclass(frozen=True)
class _Picture:
    caption: str
    place: str  # in the folder of the page
    data: str  # PNG in base64

    @classmethod
    def read(cls, path: Path, caption: str, folder: Path) -> _Picture:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        return cls(caption, path.relative_to(folder).as_posix(), data)


def _tables(tables: Sequence[Table]) -> list[tuple[str, Markup]]:
    return [(str(table.title or ""), html_table(table)) for table in tables]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Lines of a record, such as `versions.torch`; numbers to six digits, metrics.json has all."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            yield f"{prefix}{key}", f"{value:.6g}"
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
