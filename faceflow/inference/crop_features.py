"""Features that `faceflow-crop` stored beside its crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.feature_file import RECORD, CropRecords, packed_record, unpack
from faceflow.images import hash_content
from faceflow.packs.layout import split_path
from faceflow.packs.pack import read_part


class CropFeatures:
    """Finds the features of crops, file by file."""

    def __init__(self) -> None:
        self._records = CropRecords()

    def of(self, file: str) -> NDArray[np.float32]:
        """Features (FEATURES,) of a crop; for arrays, which have no file, the name is empty.

        Raises:
            DataError: the crop has no features, or they are of another image.
        """
        if not file:
            raise DataError(
                "source: expected crop files with features stored beside them, got arrays; leave crops=true out, "
                "or use a model that reads pixels only"
            )
        crop = Path(file).absolute()
        if split_path(crop):
            return self._packed(crop)
        record = self._records.find(crop)
        if record is None:
            raise self._none(crop)
        if int(record["picture"]) != hash_content(crop):
            raise DataError(
                f"source: expected features of '{crop}', got those of another image; crop again to another output"
            )
        return unpack(record)

    def _packed(self, crop: Path) -> NDArray[np.float32]:
        found = packed_record(crop)
        if found is None:
            raise self._none(crop)
        kind = np.dtype(RECORD)
        try:
            return unpack(np.frombuffer(read_part(*found, kind.itemsize), kind)[0])
        except OSError as error:
            raise DataError(f"{found[0]}: expected a whole shard, got '{error.strerror}'; copy it again") from error

    def _none(self, crop: Path) -> DataError:
        return DataError(
            f"source: expected features of every crop, which this model reads, got none for '{crop}'; crop again with "
            "detector=mediapipe_landmarks, leave crops=true out for uncropped images, or use a model that reads "
            "pixels only"
        )
