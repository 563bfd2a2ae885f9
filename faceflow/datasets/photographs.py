"""Photographs of people whom nobody named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceflow.datasets.published import Labels, Recording


def photographs(name: str, folder: Path, images: Mapping[int, Path], labels: Labels) -> Recording:
    """Recording of a folder of photographs; its subject is "", which says that nobody knows who is who.

    Args:
        name: of the recording.
        folder: that holds the images.
        images: by number, which only tells them apart.
        labels: by the same numbers; those without any are left out.
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
