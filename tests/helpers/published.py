"""Files of published data sets as tests write them, and their parsers as the configs build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from faceflow.config.instantiate import instantiate
from faceflow.datasets.published import Dataset, Recording
from faceflow.errors import ConfigError, DataError

CONFIGS = Path(__file__).parents[2] / "configs/dataset"


def write_file(path: Path, content: bytes = b"never opened") -> Path:
    """Write a file and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def build(name: str, root: Path | None, **options: Any) -> Dataset:
    """Build a data set as `faceflow-crop dataset=NAME root=ROOT dataset.OPTION=...` does."""
    config = OmegaConf.load(CONFIGS / f"{name}.yaml")
    settings = OmegaConf.create({"root": None if root is None else str(root), "dataset": config})
    merged = OmegaConf.merge(settings, {"dataset": options})
    dataset: Dataset = instantiate(merged.dataset, key="dataset")
    return dataset


def read(name: str, root: Path, **options: Any) -> dict[str, Recording]:
    """Recordings of a data set by name; checks that they are sorted and each name occurs once."""
    found = build(name, root, **options).recordings()
    names = [recording.name for recording in found]
    assert names == sorted(set(names))
    return {recording.name: recording for recording in found}


def error_of(name: str, root: Path | None, **options: Any) -> str:
    """One-line error message from reading a data set, with the root replaced by ROOT."""
    with pytest.raises((ConfigError, DataError)) as caught:
        build(name, root, **options).recordings()
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")
