"""State of a clip's files when cropping began: crops of two versions of a file must not be mixed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from faceflow.cropping.clips import Clip
from faceflow.errors import DataError
from faceflow.files import whole_file

STATE = "source.json"


def check_source(clip: Clip, folder: Path) -> None:
    """Compare the files of a clip with the state that an earlier run stored in a folder, if any.

    Raises:
        DataError: other files, or files that have changed since.
    """
    path = folder / STATE
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        stored = None
    state = _state(clip)
    if stored != state:
        raise DataError(
            f"{clip.file}: expected {_words(stored)}, as when cropping started, got {_words(state)}; to crop it "
            f"again, remove '{folder}'; to keep the crops, choose another output"
        )


def store_source(clip: Clip, folder: Path) -> int:
    """Store the state of a clip's files, unless an earlier run did; return the time of storing, in nanoseconds."""
    path = folder / STATE
    if not path.exists():
        with whole_file(path) as partial:
            partial.write_text(json.dumps(_state(clip)) + "\n", encoding="utf-8")
    return path.stat().st_mtime_ns


def _state(clip: Clip) -> dict[str, Any]:
    """Count and size of the files, and a hash of their names, sizes and modification times."""
    if clip.images is not None:
        files = [clip.images[number] for number in sorted(clip.images)]
    else:
        files = [clip.file if isinstance(clip.file, Path) else clip.file.archive]
    rows = [(file.name, *_size_and_time(file)) for file in files]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {"files": len(rows), "bytes": sum(size for _, size, _ in rows), "sha256": digest}


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _words(state: Any) -> str:
    if not isinstance(state, dict) or not {"files", "bytes", "sha256"} <= state.keys():
        return "an unknown state"
    files = "1 file" if state["files"] == 1 else f"{state['files']} files"
    return f"{files} of {state['bytes']} bytes (state {state['sha256'][:6]})"
