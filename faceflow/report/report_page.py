"""One page that shows a run and can be mailed: its numbers, pictures, protocol, data, config and record in one file."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from faceflow.files import whole_file
from faceflow.report.html_table import html_table
from faceflow.report.palette import BLUE, GRAY, INK, PALE, VERMILION

_STYLE = f"""
:root {{ color-scheme: light }}
body {{ font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: {INK}; background: #fff; margin: 0 auto;
  max-width: 1440px; padding: 28px 32px 60px }}
h1 {{ font-size: 26px; margin: 0; overflow-wrap: anywhere }}
h2 {{ font-size: 19px; margin: 40px 0 12px; padding-bottom: 4px; border-bottom: 1px solid {PALE} }}
h3 {{ font-size: 15px; margin: 26px 0 8px }}
p {{ margin: 4px 0 }}
a {{ color: {BLUE} }}
.about, caption, figcaption {{ color: {GRAY} }}
.numbers {{ display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 }}
.numbers div {{ border: 1px solid {PALE}; border-radius: 8px; padding: 8px 18px; min-width: 84px }}
.numbers b {{ display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums }}
.numbers span {{ color: {GRAY}; font-size: 13px }}
.warnings {{ border-left: 4px solid {VERMILION}; background: #fdf3ec; padding: 10px 18px; margin: 20px 0 }}
.warnings ul {{ margin: 4px 0; padding-left: 20px }}
.scroll {{ overflow-x: auto; margin: 12px 0 22px }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }}
caption {{ caption-side: bottom; text-align: left; font-size: 13px; padding-top: 8px; white-space: pre-line;
  max-width: 1100px }}
th, td {{ padding: 4px 12px; text-align: left; vertical-align: bottom; white-space: nowrap }}
td.wrap {{ white-space: normal }}
th {{ border-bottom: 1px solid {INK}; font-weight: 600; white-space: pre-line }}
tbody tr:nth-child(even) {{ background: #f7f7f7 }}
tr.section td {{ border-top: 1px solid {INK} }}
tr.bold {{ font-weight: 600 }} tr.dim {{ color: {GRAY} }} .alert {{ color: {VERMILION}; font-weight: 600 }}
.right {{ text-align: right }}
dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 20px; margin: 0 }}
dt {{ color: {GRAY} }} dd {{ margin: 0; overflow-wrap: anywhere }}
figure {{ margin: 12px 0 28px; border: 1px solid {PALE}; border-radius: 8px; padding: 8px }}
figure img {{ width: 100%; display: block }}
figcaption {{ font-size: 14px; padding: 4px 8px }} figcaption::first-letter {{ text-transform: uppercase }}
details {{ margin: 10px 0 }} summary {{ cursor: pointer; color: {BLUE} }}
pre {{ background: #f7f7f7; padding: 14px 18px; overflow-x: auto; font: 13px/1.45 ui-monospace, "DejaVu Sans Mono",
  monospace }}
@media (max-width: 700px) {{ body {{ padding: 16px }} dl {{ grid-template-columns: 1fr }} dt {{ margin-top: 8px }} }}
@media print {{ figure, tr {{ break-inside: avoid }} }}
"""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a page shows; parts that are empty are left out.

    `numbers` are the headline: name -> value and what stands below it. `pictures` map files in the folder of the page
    to captions, `links` map texts to addresses relative to it. `record` holds plain values, which may be nested.
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
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
            f"<title>{_text(report.title)}</title>\n<style>{_STYLE}</style></head><body>",
            *_sections(report, folder),
            "</body></html>\n",
        ]
    )


def _sections(report: Report, folder: Path) -> Iterator[str]:
    yield f'<h1>{_text(report.title)}</h1><p class="about">{_text(report.about)}</p>'
    yield from _numbers(report.numbers)
    if report.warnings:
        lines = "".join(f"<li>{_text(line)}</li>" for line in report.warnings)
        yield f'<div class="warnings"><b>Warnings</b><ul>{lines}</ul></div>'
    if report.links:
        yield "<h2>Folds</h2><ul>"
        yield from (f'<li><a href="{_text(to)}">{_text(name)}</a></li>' for name, to in report.links.items())
        yield "</ul>"
    yield from _tables("Results", report.results)
    if report.protocol:
        yield f"<h2>Protocol</h2>{_definitions(report.protocol)}"
    if report.pictures:
        yield "<h2>Pictures</h2>"
        yield from (_picture(path, caption, folder) for path, caption in report.pictures.items())
    yield from _tables("Data", report.data)
    if report.config or report.record:
        yield "<h2>How it was made</h2>"
    if report.record:
        yield f"<details open><summary>Record</summary>{_definitions(dict(_flat(report.record)))}</details>"
    if report.config:
        yield f"<details><summary>Config, resolved</summary><pre>{_text(report.config)}</pre></details>"


def _numbers(numbers: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    if numbers:
        yield '<div class="numbers">'
        for name, (value, below) in numbers.items():
            note = f"<span>{_text(below)}</span>" if below else ""
            yield f"<div><span>{_text(name)}</span><b>{_text(value)}</b>{note}</div>"
        yield "</div>"


def _tables(heading: str, tables: Sequence[Table]) -> Iterator[str]:
    if tables:
        yield f"<h2>{heading}</h2>"
    for table in tables:
        yield f'<h3>{_text(str(table.title or ""))}</h3><div class="scroll">{html_table(table)}</div>'


def _definitions(items: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{_text(key)}</dt><dd>{_text(value)}</dd>' for key, value in items.items())}</dl>"


def _picture(path: Path, caption: str, folder: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    place = _text(path.relative_to(folder).as_posix())
    image = f'<img src="data:image/png;base64,{data}" alt="{_text(caption)}">'
    return f'<figure><figcaption>{_text(caption)} (<a href="{place}">{place}</a>)</figcaption>{image}</figure>'


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Lines of a record, such as `versions.torch`; numbers to six digits, metrics.json has all."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            yield f"{prefix}{key}", f"{value:.6g}"
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return html.escape(text)
