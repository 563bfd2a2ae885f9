"""Contexts of runs that were not started by a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faceflow.evaluation.run_context import RunContext


def run_context(output: Path, **changes: Any) -> RunContext:
    """Context of a training in a folder, without pictures; keyword arguments change it."""
    values: dict[str, Any] = {
        "task": "train",
        "fold": None,
        "seed": 0,
        "pictures": False,
        "log_images": False,
        "label_files": {},
        "config": {"task": "train", "seed": 0},
    }
    return RunContext(output=output, **(values | changes))
