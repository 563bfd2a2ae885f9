"""Names of earlier versions: stored configs keep working, and an old key names its replacement."""

from __future__ import annotations

from typing import Any

# Beginnings of `_target_`s; a config.yaml that a run stored, or a user's own config, may still name them.
_MOVED = {
    "faceflow.data.synthetic.": "faceflow.synthetic.writing.",
    "faceflow.preprocess.datasets.": "faceflow.datasets.",
    "faceflow.preprocess.mediapipe_detector.": "faceflow.faces.mediapipe_detector.",
}
_UNCENTRED = {"center": "none", "targets": "hard", "prior_strength": 0, "weighted": True}
# Settings by `_target_` that were added later, and the earlier behaviour.
_ADDED: dict[str, dict[str, Any]] = {
    "faceflow.methods.fixmatch.FixMatch": _UNCENTRED,
    "faceflow.methods.defixmatch.DeFixMatch": _UNCENTRED,
}
_KEYS = {
    "cutoff_step": "adaptive cutoffs need no step; leave it out",
    "output": "the group is named layout: layout@hydra",
}


def renamed(key: str) -> str | None:
    """Replacement of a key or group of an earlier version, by its last name; None for any other."""
    return _KEYS.get(key)


def up_to_date(node: Any) -> Any:
    """Plain config with the `_target_`s of earlier versions updated and missing settings added."""
    if isinstance(node, dict):
        added = _ADDED.get(node["_target_"], {}) if isinstance(node.get("_target_"), str) else {}
        now = {key: _moved(value) if key == "_target_" else up_to_date(value) for key, value in node.items()}
        return {**added, **now}
    return [up_to_date(value) for value in node] if isinstance(node, list) else node


def _moved(target: Any) -> Any:
    for old, new in _MOVED.items():
        if isinstance(target, str) and target.startswith(old):
            return new + target.removeprefix(old)
    return target
