"""Ids of a run in trackers, kept in its folder so that a resumed run continues under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faceflow.files import whole_file

FILE = "tracking.json"


def recall(folder: Path | None, tracker: str) -> dict[str, Any]:
    """Notes of a tracker in a run folder; empty if there are none, or they cannot be read."""
    if folder is None:
        return {}
    noted = _read(folder).get(tracker)
    return noted if isinstance(noted, dict) else {}


def note(folder: Path, tracker: str, **facts: str | None) -> None:
    """Note what a tracker needs to continue, beside the notes of others.

    Raises:
        DataError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = _read(folder) | {tracker: facts}
    with whole_file(folder / FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
