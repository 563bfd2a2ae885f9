"""The report page is complete and self-contained, and no name can break it."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from faceflow.console import add_row, plain_table
from faceflow.errors import DataError
from faceflow.report.html_table import html_table
from faceflow.report.report_page import Report, report_page, write_report
from tests.helpers.results import images

EVIL = "<script>alert('x')</script> & \"more\""
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Collects texts, addresses and tags, and refuses tags that are not closed in order."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def some_table() -> Table:
    table = plain_table(EVIL, ["AU"], ["F1\nat val"], caption="split: by subject")
    add_row(table, ["AU12", "0.625"])
    table.add_section()
    add_row(table, ["mean", "0.500"], style="bold")
    return table


def full_report(folder: Path) -> Report:
    return Report(
        title=EVIL,
        about=EVIL,
        numbers={"F1@val": ("0.625", "95 %: 0.5 to 0.7"), EVIL: ("1", "")},
        warnings=[EVIL],
        protocol={"split": EVIL, "labels": "occurrence = intensity >= 2"},
        links={EVIL: "fold 1/report.html"},
        results=[some_table()],
        pictures={Path(images(folder, 1)[0]): EVIL},
        data=[some_table()],
        config=f"model: {EVIL}\n",
        record={"seed": 0, "best": 0.19620776176452637, "versions": {"torch": "2.9"}, EVIL: None},
    )


def test_page_holds_every_part_and_needs_nothing_else(tmp_path: Path) -> None:
    content = report_page(full_report(tmp_path), tmp_path)
    page = Page(content)
    text = " ".join(page.texts)
    for part in (
        "0.625",
        "95 %: 0.5 to 0.7",
        "occurrence = intensity >= 2",
        "versions.torch",
        "2.9",
        "0.196208",
        f"model: {EVIL}",
    ):
        assert part in text
    assert "script" not in page.tags
    picture = base64.b64encode((tmp_path / "face0.png").read_bytes()).decode()
    assert page.addresses == ["data:,", "fold 1/report.html", "face0.png", f"data:image/png;base64,{picture}"]
    assert not re.search(r"https?:|//|@import|url\(", content.replace(picture, ""))
    assert "<pre>" in content
    assert text.count(EVIL) >= 8


def test_parts_without_content_are_left_out(tmp_path: Path) -> None:
    page = Page(report_page(Report(title="run", about="train"), tmp_path))
    assert not {"h2", "table", "img", "details", "ul"} & set(page.tags)


def test_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "report.html", Report(title="über", about=""))
    assert "über" in path.read_text("utf-8")
    with pytest.raises(DataError, match="expected a writable file"):
        write_report(tmp_path / "new", Report(title="t", about=""))


def test_tables_keep_their_layout() -> None:
    table = some_table()
    add_row(table, ["! 0", ""], style="dim")
    table.add_row(Text("none", "bold red"), Text("-"))
    content = html_table(table)
    assert Page(content).texts == [
        "split: by subject",
        "AU",
        "F1\nat val",
        "AU12",
        "0.625",
        "mean",
        "0.500",
        "! 0",
        "none",
        "-",
    ]
    assert content.count("<tr") == 5
    assert '<tr class="bold section"><td>mean</td><td class="right">0.500</td></tr>' in content
    assert '<tr class="dim">' in content
    assert '<td class="alert">none</td>' in content
