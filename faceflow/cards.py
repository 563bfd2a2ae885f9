"""Cards of models and data sets: Markdown below a block of metadata, in the format of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from faceflow.errors import ConfigError
from faceflow.files import whole_file

NOT_MEASURED = "not measured"
TAGS = ("facial-action-units", "FACS", "faces")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(path: Path, front: Mapping[str, Any], parts: Sequence[str]) -> None:
    """Write a card.

    Args:
        path: of the file.
        front: metadata, plain data; empty values are left out.
        parts: paragraphs, headings and tables, in their order.

    Raises:
        DataError: the file cannot be written.
    """
    said = {key: value for key, value in front.items() if value not in (None, [], "")}
    block = f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True)}---"
    with whole_file(path) as partial:
        partial.write_text("\n\n".join([block, *parts]) + "\n", encoding="utf-8")


def check_card(card: object, *, key: str = "card") -> Path | None:
    """Check the name of a card; None if no card is wanted.

    Raises:
        ConfigError: not a Markdown file, or a folder.
    """
    if card is None:
        return None
    path = Path(str(card))
    if path.suffix.lower() != ".md" or path.is_dir():
        raise ConfigError(f"{key}: expected the name of a .md file, got '{card}'; write {key}=README.md")
    return path


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped, line ends become spaces."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [cells[0], ["---"] * len(header), *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def size_category(count: int) -> str:
    """Size category of the Hugging Face Hub for a number of rows."""
    return next((name for most, name in _SIZES if count < most), "n>1M")
