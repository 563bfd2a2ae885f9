"""Folds that papers report on, as `configs/protocol/` states them: the subjects that each fold tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from faceflow.config.paths import config_dir


def subjects_of(protocol: str) -> dict[str, tuple[str, ...]]:
    """Subjects of the folds of `configs/protocol/PROTOCOL.yaml`."""
    content = yaml.safe_load(Path(config_dir(), "protocol", f"{protocol}.yaml").read_text("utf-8"))
    return {fold: tuple(subjects) for fold, subjects in content["subjects"].items()}
