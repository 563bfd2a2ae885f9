"""Generated parts of pages: on the site, Markdown replaces the mark `<!-- generated: configs -->` of a page.

`PARTS` names the modules that generate parts. Each has a function `markdown`, which may take a word, as in
`<!-- generated: files CHANGELOG.md -->`. GitHub hides the mark and shows the paragraph that starts on the next line;
the site drops that paragraph.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from generated.files import relinked

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PARTS = ("configs", "columns", "scores", "python_api", "contract", "aus", "files", "pages")
_MARK = re.compile(r"^<!-- generated: (\w+)(?: (\S+))? -->(?:\n.+)*$", re.MULTILINE)


def with_parts(text: str) -> str:
    """A page with its marks replaced by the generated parts.

    Raises:
        ValueError: a mark names an unknown part.
    """
    return _MARK.sub(lambda mark: _part(mark[1], *filter(None, [mark[2]])), text)


def _part(name: str, *words: str) -> str:
    if name not in PARTS:
        raise ValueError(f"generated: expected one of {', '.join(PARTS)}, got {name}")
    found: str = importlib.import_module(f"generated.{name}").markdown(*words)
    return found


def _read_page(app: Sphinx, name: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(name))
    if path.suffix == ".md":
        source[0] = with_parts(relinked(source[0], path.parent, name))


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages with generated parts: each build reads them again, since their sources may have changed."""
    pages = (name for name in env.found_docs if Path(env.doc2path(name)).suffix == ".md")
    return [name for name in pages if _MARK.search(Path(env.doc2path(name)).read_text("utf-8"))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read_page)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
