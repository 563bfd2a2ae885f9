"""Parts of pages that come from elsewhere: `<!-- generated: configs -->` in a page becomes its Markdown.

The parts are the modules named in `PARTS`, each with a function `markdown`; it may take a word, as in
`<!-- generated: files CHANGELOG.md -->`.
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
_MARK = re.compile(r"^<!-- generated: (\w+)(?: (\S+))? -->$", re.MULTILINE)


def with_parts(text: str) -> str:
    """A page with the parts that it asks for.

    Raises:
        ValueError: there is no such part.
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
    """Pages with generated parts are read anew each time: what they are made of may have changed."""
    pages = (name for name in env.found_docs if Path(env.doc2path(name)).suffix == ".md")
    return [name for name in pages if _MARK.search(Path(env.doc2path(name)).read_text("utf-8"))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read_page)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
