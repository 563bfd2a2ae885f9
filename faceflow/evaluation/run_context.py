"""What is known of a run before it reads its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.data.sources import SPLITS


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Identity of a training or a test, and what it writes.

    Attributes:
        task: train or test.
        output: folder of its results.
        fold: name of the fold that it trains; None if its protocol has only one fold.
        seed: of the run.
        pictures: whether pictures are drawn and report.html is written.
        log_images: whether trackers may upload pictures of faces.
        label_files: data set -> its label files.
        config: as config.yaml holds it, see `faceflow.config.stored`.
    """

    task: str
    output: Path
    fold: str | None
    seed: int
    pictures: bool
    log_images: bool
    label_files: Mapping[str, Sequence[Path]]
    config: Mapping[str, Any]


def label_files(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Path]]:
    """Label files of the `data.sources` of a config, by data set."""
    keys = ("labels", *SPLITS)
    return {name: [Path(source[key]) for key in keys if source[key]] for name, source in sources.items()}
