"""A toctree of the pages of a folder: first the pages given by name, then the others in alphabetical order."""

from __future__ import annotations

from generated.markdown import DOCS


def markdown(words: str) -> str:
    """A toctree.

    Args:
        words: the folder below docs/ (`.` is docs/ itself) and, after a colon, names of its pages, as in
            `tutorials:first_video,own_labels`; pages that do not exist are left out.
    """
    folder, _, names = words.partition(":")
    files = (path for suffix in ("md", "ipynb") for path in (DOCS / folder).glob(f"*.{suffix}"))
    found = sorted(path.stem for path in files if path.stem != "index")
    first = [name for name in names.split(",") if name in found]
    entries = [f"/{name}" if folder == "." else f"/{folder}/{name}" for name in dict.fromkeys([*first, *found])]
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *entries, "```"])
