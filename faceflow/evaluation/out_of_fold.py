"""Predictions of a finished training, from its folds or its test, for the faces of a config."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faceflow.aus import sort_key
from faceflow.config.run_files import fold_folders
from faceflow.data.sources import FaceTable
from faceflow.encoding import Array
from faceflow.errors import ConfigError, DataError
from faceflow.report.prediction_arrays import INTENSITY, PROBABILITY, predicted_aus

log = logging.getLogger(__name__)

_FACE = ["dataset", "filename"]


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """Probabilities of faces by networks that were not trained on them.

    Attributes:
        folder: of the run, for messages.
        aus: A names.
        probability: a row per face, indexed by data set and file name, and a column per AU; NaN where no fold predicts
            the AU. A face tested by several folds has the mean of their predictions.
        graded: whether the networks give intensities.
        protocol: of the run.
    """

    folder: Path
    aus: tuple[str, ...]
    probability: pd.DataFrame
    graded: bool
    protocol: Mapping[str, str]

    def of_faces(self, tables: Sequence[FaceTable]) -> Array:
        """Probabilities of all rows of some tables, (N, A); NaN where there is no prediction.

        If there is only one data set, its name can differ from that in the run.

        Raises:
            DataError: none of the faces was predicted.
        """
        names = [name for table in tables for name in [table.name] * len(table)]
        files = [str(name) for table in tables for name in table.filenames]
        known = self.probability.index.get_level_values(0).unique()
        if len(known) == len(set(names)) == 1:
            names = [str(known[0])] * len(names)
        places = self.probability.index.get_indexer(pd.MultiIndex.from_arrays([names, files]))
        if lacking := int((places < 0).sum()):
            if lacking == len(places):
                dataset, filename = self.probability.index[0]
                raise DataError(
                    f"data: expected the faces that '{self.folder}' tested, such as {filename} of {dataset}, got "
                    f"{files[0]} of {tables[0].name}; name the data of that run with data=csv data.labels=FILE"
                )
            log.warning("%d of %d faces have no prediction in '%s'", lacking, len(places), self.folder)
        values = self.probability.to_numpy(np.float64)
        return np.where(places[:, None] < 0, np.nan, values[places])


def read_out_of_fold(path: str) -> OutOfFold:
    """Read the tests of all folds in the folder of a training, or its test if it has no folds.

    Raises:
        ConfigError: there is no such folder.
        DataError: it holds no finished run with a test, a file is damaged, or its tests include seen subjects.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"predictions: expected the folder of a run with folds, got '{path}', which is not a folder; check the path"
        )
    record = _record(folder)
    folders = fold_folders(folder) if "folds" in record else [folder]
    if "caution" in record["protocol"]:
        raise DataError(
            f"predictions: expected tests on subjects that no network was trained on, got '{path}': "
            f"{record['protocol']['caution']}; name the folder of a run with protocol=kfold"
        )
    frames = [_read(each) for each in folders]
    aus = tuple(sorted({au for frame in frames for au in predicted_aus(frame)}, key=sort_key))
    together = pd.concat(frames, ignore_index=True)
    probability = together.set_index(_FACE).reindex(columns=[f"{au}{PROBABILITY}" for au in aus]).astype(np.float64)
    if probability.index.has_duplicates:
        probability = probability.groupby(level=_FACE, sort=False).mean()
    return OutOfFold(
        folder=folder,
        aus=aus,
        probability=probability,
        graded=any(str(name).endswith(INTENSITY) for name in together.columns),
        protocol=record["protocol"],
    )


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        dict(record["protocol"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"predictions: expected the folder of a finished run, got '{folder}' without a readable metrics.json; "
            "name the folder that faceflow-train wrote, or rerun its command"
        ) from error
    return record


def _read(folder: Path) -> pd.DataFrame:
    path = folder / "predictions.csv"
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_FACE, str), keep_default_na=True)
        frame = frame.astype({name: np.float64 for name in frame.columns if str(name).endswith(PROBABILITY)})
        frame[_FACE] = frame[_FACE].fillna("")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected the predictions of a test, got none that can be read; train that fold again with "
            "test=true"
        ) from error
    return frame
