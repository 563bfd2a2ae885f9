"""What had another name in earlier versions: stored configs go on working, and an old key says what to write now."""

from __future__ import annotations

from typing import Any

# Beginnings of `_target_`s; a config.yaml that a run stored, or a user's own config, may still name them.
_MOVED = {
    "faceflow.data.synthetic.": "faceflow.synthetic.writing.",
    "faceflow.preprocess.datasets.": "faceflow.datasets.",
    "faceflow.preprocess.mediapipe_detector.": "faceflow.faces.mediapipe_detector.",
}
_KEYS = {
    "cutoff_step": "adaptive cutoffs need no step; leave it out",
    "output": "the group is named layout: layout@hydra",
}


def renamed(key: str) -> str | None:
    """What to write instead of a key or group of an earlier version, by its last name; None for any other."""
    return _KEYS.get(key)


def with_moved_targets(node: Any) -> Any:
    """Plain config with the `_target_`s of earlier versions where they are now."""
    if isinstance(node, dict):
        return {key: _moved(value) if key == "_target_" else with_moved_targets(value) for key, value in node.items()}
    return [with_moved_targets(value) for value in node] if isinstance(node, list) else node


def _moved(target: Any) -> Any:
    for old, new in _MOVED.items():
        if isinstance(target, str) and target.startswith(old):
            return new + target.removeprefix(old)
    return target
