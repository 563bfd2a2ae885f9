"""A glossary of all AUs that FaceFlow knows, with pictures of those that the renderer can show."""

from __future__ import annotations

from faceflow.aus import DESCRIPTIONS
from faceflow.rendering.action_units import AUS as RENDERED
from generated.markdown import DOCS, table

_PICTURES = "images/aus"


def markdown() -> str:
    """A row for each AU."""
    return table(("AU", "FACS name", "At rest, and at its most"), map(_row, DESCRIPTIONS))


def _row(number: int) -> tuple[str, ...]:
    au = f"AU{number}"
    path = f"{_PICTURES}/{au}.jpg"
    name = DESCRIPTIONS[number]
    shown = f"![{au}, {name}](../{path})" if au in RENDERED and (DOCS / path).is_file() else ""
    return au, name, shown
