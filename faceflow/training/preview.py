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
from faceflow.views import EVAL, with_labeled

_DRAWS = 2  # of each random pipeline


def preview_faces(tables: Sequence[FaceTable], transforms: Mapping[str, Any], *, faces: int, folder: Path) -> Path:
    """Draw faces spread over the training data, beside the output of every pipeline.

    Args:
        tables: training tables.
        transforms: steps of the pipelines by name.
        faces: how many.
        folder: where transforms.png goes.
    """
    files = np.concatenate([table.files for table in tables])
    files = files[np.linspace(0, len(files) - 1, min(faces, len(files))).astype(int)]
    steps = with_labeled(transforms)
    pipelines = {name: build_pipeline(steps[name], key=f"transforms.{name}") for name in steps}
    columns = ["original"]
    for name in pipelines:
        columns += [name] if name == EVAL else [f"{name} {draw + 1}" for draw in range(_DRAWS)]
    rows = []
    for number, file in enumerate(files):
        image = read_image(file)
        draws = [
            pipeline(image, 1000 * number + draw)
            for name, pipeline in pipelines.items()
            for draw in range(1 if name == EVAL else _DRAWS)
        ]
        rows.append([image, *draws])
    return contact_sheet(rows, path=folder / "transforms.png", columns=columns)
