"""Photographs of unknown subjects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceflow.datasets.published import Labels, Recording


def photographs(name: str, folder: Path, images: Mapping[int, Path], labels: Labels) -> Recording:
    """Recording of a folder of photographs; its subject is "", which means unknown.

    Args:
        name: of the recording.
        folder: that holds the images.
        images: by number, which only identifies them.
        labels: by the same numbers; empty ones are left out.
    """
    return Recording(
        name=name,
        file=folder,
        frames=images,
        subject="",
        domain="",
        labels={number: scores for number, scores in labels.items() if scores},
        excluded={},
    )
