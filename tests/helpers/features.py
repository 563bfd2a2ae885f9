"""Features of generated faces, and crops with features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.faces.feature_file import FeatureSpool, feature_file, pack
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, FaceFeatures
from faceflow.images import hash_contents
from faceflow.models.features import FeatureSpec

Vectors = NDArray[np.float32]


def feature_spec(*parts: str, **changes: int) -> FeatureSpec:
    """Small layers over parts of the features, by default both."""
    values = {"hidden": 8, "components": 6} | changes
    return FeatureSpec(parts=parts or ("blendshapes", "landmarks"), **values)


def pixel_free(*parts: str, **changes: Any) -> dict[str, Any]:
    """Values of a `NetworkSpec` that reads only features."""
    return {"backbone": None, "mean": (), "std": (), "features": feature_spec(*parts)} | changes


def random_vectors(rows: int, seed: int = 0) -> Vectors:
    """Features (N, F) of different faces about 100 pixels in size, slightly turned."""
    rng = np.random.default_rng(seed)
    faces = [
        FaceFeatures(
            landmarks=rng.normal(100, 40, (LANDMARKS, 3)),
            blendshapes=rng.uniform(0.01, 0.99, len(BLENDSHAPES)),
            pose=rng.normal(0, 10, 3),
        )
        for _ in range(rows)
    ]
    return np.stack([face.vector() for face in faces])


def give_features(folder: Path, files: Sequence[Path], vectors: Vectors) -> None:
    """Write the files that faceflow-crop writes beside the crops in `folder`/crops."""
    (folder / "crops.json").write_text(json.dumps({"align": {}, "detector": {}, "selection": {}}))
    for below in {file.parent for file in files}:
        rows = [row for row, file in enumerate(files) if file.parent == below]
        hashes = hash_contents([str(files[row]) for row in rows])
        path = feature_file(folder, "" if below == folder / "crops" else below.relative_to(folder / "crops").as_posix())
        path.parent.mkdir(parents=True, exist_ok=True)
        with FeatureSpool(folder) as spool:
            for row, picture in zip(rows, hashes, strict=True):
                spool.add(files[row].name, pack(vectors[row], picture=int(picture)))
            spool.store(path)
