"""Pages whose text is a file elsewhere in the repository, and the links in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from generated.markdown import DOCS

ROOT = DOCS.parent
# Files outside docs/ that are pages of the site, each with its page.
COPIES = {
    "faceflow/built_in/README.md": "reference/built_in_card",
    "configs/logger/README.md": "how_to/logger_setup",
    "CHANGELOG.md": "reference/changelog",
    "CONTRIBUTING.md": "contributing",
}
_LINK = re.compile(r"(?P<text>(?<!!)\[[^\]\n]*\])\((?P<path>(?!https?:|mailto:|#)[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def markdown(name: str) -> str:
    """The text of a file, with its links changed for the page that shows it.

    Raises:
        ValueError: `COPIES` has no page for the file.
    """
    if name not in COPIES:
        raise ValueError(f"generated: expected one of {', '.join(COPIES)}, got {name}")
    path = ROOT / name
    return relinked(path.read_text("utf-8"), path.parent, COPIES[name])


def relinked(text: str, folder: Path, page: str) -> str:
    """Markdown with its links to files of the repository changed to links to pages of the site.

    A link to a file that is not a page becomes plain text.

    Args:
        text: Markdown of a file in `folder`.
        folder: the folder of that file.
        page: the page that shows it, relative to docs/ and without its suffix.
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
