"""Pages that are files elsewhere in the repository, and links between them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from generated.markdown import DOCS

ROOT = DOCS.parent
# Files outside of docs/ that are pages of the site, by the page.
COPIES = {
    "faceflow/built_in/README.md": "reference/built_in_card",
    "configs/logger/README.md": "how_to/logger_setup",
    "CHANGELOG.md": "reference/changelog",
    "CONTRIBUTING.md": "contributing",
}
_LINK = re.compile(r"(?P<text>(?<!!)\[[^\]\n]*\])\((?P<path>(?!https?:|mailto:|#)[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def markdown(name: str) -> str:
    """The text of a file, with links for the page that it becomes.

    Raises:
        ValueError: no page is named for it in `COPIES`.
    """
    if name not in COPIES:
        raise ValueError(f"generated: expected one of {', '.join(COPIES)}, got {name}")
    path = ROOT / name
    return relinked(path.read_text("utf-8"), path.parent, COPIES[name])


def relinked(text: str, folder: Path, page: str) -> str:
    """Markdown whose links to files of the repository lead to pages of the site.

    A link to a file that is no page keeps its text alone.

    Args:
        text: that was written for a file in `folder`.
        folder: of that file.
        page: that shows it, below docs/ and without its suffix.
    """

    def link(found: re.Match[str]) -> str:
        path = (folder / found["path"]).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            return found[0]  # a broken link, which Sphinx reports
        name = str(path.relative_to(ROOT))
        if name in COPIES:
            path = DOCS / f"{COPIES[name]}.md"
        elif not path.is_relative_to(DOCS):
            return found["text"][1:-1]
        return f"{found['text']}({os.path.relpath(path, (DOCS / page).parent)}{found['anchor'] or ''})"

    return _LINK.sub(link, text)
