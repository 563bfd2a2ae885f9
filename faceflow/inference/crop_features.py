"""Features of crops that `faceflow-crop` cut: what it kept beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.feature_file import Records, features_beside, open_records, unpack
from faceflow.images import hash_content


class CropFeatures:
    """Finds the features of crops, file by file."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[Records, dict[bytes, int]]] = {}

    def of(self, file: str) -> NDArray[np.float32]:
        """Features (FEATURES,) of a crop; arrays, which have no file, have no name.

        Raises:
            DataError: it has none, or they are of another picture.
        """
        if not file:
            raise DataError(
                "source: expected files of crops, beside which their features lie, got arrays; leave crops=true out, "
                "or take a model that reads pixels alone"
            )
        crop = Path(file).absolute()
        if crop.parent not in self._folders:
            path = features_beside(crop.parent)
            records = open_records(path) if path is not None and path.is_file() else None
            names = {} if records is None else {name: place for place, name in enumerate(records["crop"].tolist())}
            self._folders = {crop.parent: (records if records is not None else np.empty(0), names)}
        records, names = self._folders[crop.parent]
        place = names.get(crop.name.encode())
        if place is None:
            raise DataError(
                f"source: expected features of every crop for a model that reads them, got none for '{crop}'; crop "
                "again with detector=mediapipe_landmarks, leave crops=true out for whole pictures, or take a model "
                "that reads pixels alone"
            )
        if int(records["picture"][place]) != hash_content(crop):
            raise DataError(
                f"source: expected features of '{crop}', got those of another picture; crop again to another output"
            )
        return unpack(records[place])
