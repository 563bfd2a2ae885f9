"""Predictions to compare: from a test, from a training with its test, from all folds, or a CSV of any tool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import parse_column, sort_key
from faceflow.comparing.prediction_table import read_predictions
from faceflow.config.run_files import fold_folders
from faceflow.encoding import Array
from faceflow.errors import ConfigError, DataError
from faceflow.report.prediction_arrays import predicted_aus, stacked

PREDICTIONS, METRICS = "predictions.csv", "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of N faces on A AUs, with labels; arrays are (N, A), NaN where nothing is known.

    Attributes:
        name: name in tables.
        path: path given by the user.
        faces: N rows with the columns dataset, filename and subject, and the columns of groups that it has.
        aus: A names.
        probability: of occurrence.
        occurs: labels, 0 or 1.
        thresholds: of the network that predicted the frame, tuned on its validation; for a CSV the given one.
        intensity: predicted, in FACS units.
        graded: labelled intensity.
        networks: number of networks that predicted: rankings of several folds cannot be pooled.
        protocol: how data were split and what labels mean; None for a CSV.
        contents: rows and fingerprint of every tested table, empty if not known.
        further: names of columns that belong to no AU, beside those of `faces`.
    """

    name: str
    path: str
    faces: pd.DataFrame
    aus: tuple[str, ...]
    probability: Array
    occurs: Array
    thresholds: Array
    intensity: Array
    graded: Array
    networks: int
    protocol: Mapping[str, str] | None
    contents: tuple[tuple[int, str], ...]
    further: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.intp], aus: Sequence[str]) -> Predictions:
        """Some of the faces and AUs, in the given order."""
        columns = [self.aus.index(au) for au in aus]
        arrays = {name: getattr(self, name)[rows][:, columns] for name in _ARRAYS}
        return Predictions(**{**vars(self), **arrays, "faces": self.faces.iloc[rows], "aus": tuple(aus)})


_ARRAYS = ("probability", "occurs", "thresholds", "intensity", "graded")


def read_run(path: str, *, name: str, threshold: float, columns: Sequence[str] = ()) -> Predictions:
    """Read the folder of a run, of a test or of folds, or a CSV.

    Args:
        path: path given by the user.
        name: name in tables.
        threshold: probability from which an AU of a CSV counts as occurring.
        columns: columns of groups to read, if predictions have them.

    Raises:
        ConfigError: the path is none of these.
        DataError: the run is not finished, or cannot be read.
    """
    place = Path(path).expanduser()
    if place.name in (PREDICTIONS, METRICS) and (place.parent / METRICS).is_file():
        place = place.parent
    if place.is_file():
        return _csv(place, path=path, name=name, threshold=threshold, columns=columns)
    if not place.is_dir():
        raise ConfigError(
            f"runs: expected folders of faceflow-train or faceflow-test, or CSVs of predictions, got '{path}', which "
            "does not exist; check the path"
        )
    if not (place / METRICS).is_file():
        jobs = ", a sweep; name folders of its jobs" if (place / "sweep.csv").exists() else _unfinished(place)
        raise DataError(f"{path}: expected the folder of a finished run, got one without {METRICS}{jobs}")
    record = _record(place)
    folders = fold_folders(place) if "folds" in record else [place]
    if "folds" in record and len(folders) != len(record["folds"]):
        raise DataError(
            f"{path}: expected the folders of {len(record['folds'])} folds, got {len(folders)}; train the missing "
            "folds again"
        )
    parts = [_tested(folder, record if folder == place else _record(folder), columns) for folder in folders]
    return _join(parts, path=path, name=name, protocol=record["protocol"], columns=columns)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Predictions of one network, its thresholds by AU, and the contents of its tested tables."""

    frame: pd.DataFrame
    thresholds: Mapping[str, float]
    contents: tuple[tuple[int, str], ...]


def _csv(place: Path, *, path: str, name: str, threshold: float, columns: Sequence[str]) -> Predictions:
    if place.suffix.lower() in (".ckpt", ".onnx", ".pth", ".safetensors"):
        raise ConfigError(
            f"runs: expected predictions, got a network ('{path}'); test it first, and name the folder of that test"
        )
    frame = read_predictions(place, shown=path, columns=columns)
    part = _Part(frame=frame, thresholds=dict.fromkeys(predicted_aus(frame), threshold), contents=())
    return _join([part], path=path, name=name, protocol=None, columns=columns)


def _tested(folder: Path, record: Mapping[str, Any], columns: Sequence[str]) -> _Part:
    """Predictions in the folder of a run."""
    tests = record.get("test")
    if not tests or not (folder / PREDICTIONS).is_file():
        raise DataError(
            f"{folder}: expected a run with a test, got one without {PREDICTIONS}; test it with faceflow-test "
            "checkpoint=.../best.ckpt, and name the folder of that test"
        )
    found: dict[str, float] = {}
    try:
        for each in tests.values():
            values = {au: row["threshold_val"] for au, row in each["per_au"].items()}
            found |= {au: float(value) for au, value in values.items() if value is not None}
        data = record.get("run", {}).get("data", {}).get("test", {})
        contents = tuple(sorted((int(one["rows"]), str(one["content"])) for one in data.values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder) from error
    path = folder / PREDICTIONS
    return _Part(frame=read_predictions(path, shown=str(path), columns=columns), thresholds=found, contents=contents)


def _join(
    parts: Sequence[_Part], *, path: str, name: str, protocol: Mapping[str, str] | None, columns: Sequence[str]
) -> Predictions:
    """Put the tests of all folds below each other; NaN where a fold lacks an AU."""
    frames = [part.frame for part in parts]
    aus = tuple(sorted({au for frame in frames for au in predicted_aus(frame)}, key=sort_key))
    kept = dict.fromkeys(("dataset", "filename", "subject", *columns))
    about = [column for column in kept if all(column in frame for frame in frames)]
    return Predictions(
        name=name,
        path=path,
        faces=pd.concat([frame[about] for frame in frames], ignore_index=True),
        aus=aus,
        **stacked(frames, [part.thresholds for part in parts], aus),
        networks=len(parts),
        protocol=protocol,
        contents=tuple(sorted(each for part in parts for each in part.contents)),
        further=tuple(name for name in map(str, frames[0].columns) if not parse_column(name.partition("_")[0])),
    )


def _record(folder: Path) -> dict[str, Any]:
    """Content of metrics.json."""
    try:
        record: dict[str, Any] = json.loads((folder / METRICS).read_text("utf-8"))
        dict(record["protocol"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error
    return record


def _damaged(folder: Path) -> DataError:
    return DataError(
        f"{folder / METRICS}: expected the record of a finished run, got a damaged file; run the test again"
    )


def _unfinished(folder: Path) -> str:
    if (folder / "config.yaml").exists():
        return "; it is not finished: rerun the command that started it"
    found = sorted(path.parent.name for path in folder.glob(f"*/{METRICS}"))
    if found:
        return f"; did you mean '{folder / found[0]}'?"
    return "; name the folder that faceflow-train or faceflow-test wrote"
