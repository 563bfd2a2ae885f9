"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[2]
# Code in backticks, a page, or a character with a meaning in Markdown.
_SPECIAL = re.compile(r"(?P<code>`+[^`]+`+)|docs/(?P<page>[\w/]+)\.md|(?P<sign>[\\`*_<>\[\]~$])")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    return "\n".join(_line(cells) for cells in (header, ["---"] * len(header), *rows)) + "\n"


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def code(text: str) -> str:
    """Text as inline code."""
    if not text:
        return ""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def plain(text: str, *, page: str) -> str:
    """Text with its punctuation escaped, except code in backticks; names of pages become links.

    Args:
        text: a comment or a docstring.
        page: the page that shows it, relative to `docs/` and without its suffix.
    """

    def shown(found: re.Match[str]) -> str:
        if found["sign"]:
            return f"\\{found[0]}"
        path = DOCS / f"{found['page']}.md"
        if not found["page"] or not path.is_file():
            return found[0]
        title = path.read_text("utf-8").splitlines()[0].lstrip("# ")
        return f"[{title}]({'../' * page.count('/')}{found['page']}.md)"

    return _SPECIAL.sub(shown, text)
