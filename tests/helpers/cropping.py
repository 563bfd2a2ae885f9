"""One clip, cropped with the marker detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faceflow.cropping.clips import Clip, find_clips
from faceflow.cropping.crop_clip import CropSettings, crop_clip, rows_file
from faceflow.cropping.crop_rows import read_rows
from faceflow.faces.align import Recipe
from faceflow.faces.video import FrameRange
from tests.helpers.markers import MarkerDetector

EYES = Recipe.from_dict(
    {
        **{"preset": "eyes", "size": 64, "eye_distance": 0.4, "eye_height": 0.4, "roll": True},
        **{"padding": "replicate", "interpolation": "area"},
    }
)


def settings(**changes: Any) -> CropSettings:
    """Plain settings; keyword arguments change them."""
    values: dict[str, Any] = {
        "recipe": EYES,
        "policy": "track",
        "hold": 2,
        "smooth": 0,
        "cuts": True,
        "frames": FrameRange(every=1, start_s=0.0, end_s=None),
        "format": "png",
        "quality": 95,
    }
    return CropSettings(**(values | changes))


def crop(clip: Clip, output: Path, detector: MarkerDetector | None = None, **changes: Any) -> list[dict[str, str]]:
    """Rows of a clip."""
    crop_clip(clip, settings(**changes), [detector or MarkerDetector()], output, lambda _: None)
    return list(read_rows(rows_file(output, clip)))


def only_clip(source: Path) -> Clip:
    (clip,) = find_clips([str(source)])
    return clip


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
