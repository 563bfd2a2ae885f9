"""A glossary of all AUs that FaceFlow supports, with images of those that it can render."""

from __future__ import annotations

from faceflow.aus import DESCRIPTIONS
from faceflow.rendering.action_units import AUS as RENDERED
from generated.markdown import DOCS, table

_PICTURES = "images/aus"


def markdown() -> str:
    """A row for each AU."""
    return table(("AU", "FACS name", "At rest, and at intensity 5"), map(_row, DESCRIPTIONS))


def _row(number: int) -> tuple[str, ...]:
    au = f"AU{number}"
    path = f"{_PICTURES}/{au}.jpg"
    name = DESCRIPTIONS[number]
    shown = f"![{au}, {name}](../{path})" if au in RENDERED and (DOCS / path).is_file() else ""
    return au, name, shown
