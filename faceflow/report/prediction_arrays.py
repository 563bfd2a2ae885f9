"""The predictions.csv of one or several networks as arrays of faces and AUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from faceflow.encoding import Array

PROBABILITY, OCCURS, INTENSITY = "_prob", "_occurs", "_int"  # suffixes of the columns of an AU
SUBJECT = "subject"
_SUBJECT_BEFORE = "person"  # as FaceFlow 0.1 wrote it

TEXTS = dict.fromkeys((SUBJECT, _SUBJECT_BEFORE, "dataset", "filename"), str)  # types of columns, for pandas


def with_subject(names: Sequence[str]) -> list[str]:
    """Rename the column of subjects of FaceFlow 0.1 to its present name."""
    return [SUBJECT if name == _SUBJECT_BEFORE and SUBJECT not in names else name for name in names]


def predicted_aus(frame: pd.DataFrame) -> list[str]:
    """AUs for which a table has probabilities, in its order."""
    return [str(name).removesuffix(PROBABILITY) for name in frame.columns if str(name).endswith(PROBABILITY)]


def stacked(
    frames: Sequence[pd.DataFrame],
    thresholds: Sequence[Mapping[str, float | None]],
    aus: Sequence[str],
    *,
    ending: str = "",
) -> dict[str, Array]:
    """Stack tables; NaN where one lacks an AU or a value.

    Args:
        frames: tables of predictions, N rows in all.
        thresholds: of the network of each table, by AU.
        aus: A names.
        ending: text after the suffix of the columns of predictions to read.

    Returns:
        `probability` and `intensity`, their truths `occurs` and `graded`, and `thresholds` of the network that saw
        each face, (N, A) each.
    """

    def together(suffix: str) -> Array:
        columns = pd.Index([f"{au}{suffix}" for au in aus])
        parts = (frame.reindex(columns=columns) for frame in frames)
        return np.concatenate([part.to_numpy(np.float64, na_value=np.nan) for part in parts])

    cuts = [[np.nan if (cut := own.get(au)) is None else cut for au in aus] for own in thresholds]
    return {
        "probability": together(PROBABILITY + ending),
        "occurs": together(OCCURS),
        "thresholds": np.repeat(np.array(cuts, np.float64), [len(frame) for frame in frames], axis=0),
        "intensity": together(INTENSITY + ending),
        "graded": together(""),
    }
