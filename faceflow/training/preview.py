"""A picture of what the training transforms do to real faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceflow.data.sources import FaceTable
from faceflow.data.transforms import build_pipeline
from faceflow.images import read_image
from faceflow.report.contact_sheet import contact_sheet

_DRAWS = 2  # of each random pipeline


def preview_faces(tables: Sequence[FaceTable], transforms: Mapping[str, Any], *, faces: int, folder: Path) -> Path:
    """Draw faces spread over the training data beside their augmented views.

    Args:
        tables: training tables.
        transforms: view -> steps of its pipeline.
        faces: how many.
        folder: where transforms.png goes.
    """
    files = np.concatenate([table.files for table in tables])
    files = files[np.linspace(0, len(files) - 1, min(faces, len(files))).astype(int)]
    pipelines = {view: build_pipeline(steps, key=f"transforms.{view}") for view, steps in transforms.items()}
    columns = ["original"]
    for view in pipelines:
        columns += [view] if view == "eval" else [f"{view} {draw + 1}" for draw in range(_DRAWS)]
    rows = []
    for number, file in enumerate(files):
        image = read_image(file)
        draws = [
            pipeline(image, 1000 * number + draw)
            for view, pipeline in pipelines.items()
            for draw in range(1 if view == "eval" else _DRAWS)
        ]
        rows.append([image, *draws])
    return contact_sheet(rows, path=folder / "transforms.png", columns=columns)
