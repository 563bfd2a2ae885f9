"""A CSV of predictions: `filename`, `subject`, and for each AU `AU1_prob` and its label `AU1_occurs`.

Optional are `dataset`, and for intensities the prediction `AU1_int` and the label `AU1`, both in FACS units (0 to 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from faceflow.aus import parse_column
from faceflow.encoding import FACS_MAX
from faceflow.errors import DataError, similar_names
from faceflow.report.prediction_arrays import INTENSITY, OCCURS, PROBABILITY, TEXTS, with_subject

_COLUMNS = "filename, subject, and for each AU AU1_prob and AU1_occurs (faceflow-test writes such a table)"


def read_predictions(path: Path, *, shown: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of predictions.

    Args:
        path: of the CSV.
        shown: its name in messages.
        columns: further columns to read as text, "" for an empty cell; the table may lack them.

    Returns:
        dataset ("" if there is none), filename, subject, these columns, and the columns of AUs as numbers.

    Raises:
        DataError: it cannot be read, lacks a column, or has a cell that cannot be scored.
    """
    try:
        frame = pd.read_csv(path, dtype=TEXTS | dict.fromkeys(columns, str), index_col=False)
    except (OSError, ValueError) as error:  # from pandas: not a CSV, not UTF-8, or empty
        raise DataError(
            f"{shown}: expected a CSV of predictions, got a file that cannot be read as one; save it as CSV in UTF-8"
        ) from error
    names = with_subject([_standard(str(name).strip()) for name in frame.columns])
    frame.columns = pd.Index(names)
    aus = [au for name in names if (au := name.removesuffix(PROBABILITY)) != name and parse_column(au)]
    wanted = ["filename", "subject", *(f"{au}{OCCURS}" for au in aus)]
    if not aus:
        wanted.insert(0, f"AU1{PROBABILITY}")
    if lacking := [name for name in wanted if name not in names]:
        raise _lacks(lacking[0], names, shown)
    if not len(frame):
        raise DataError(f"{shown}: expected a row per face, got none; test the network on some faces")
    frame = frame if "dataset" in names else frame.assign(dataset="")
    for name in ("filename", "subject"):
        if len(rows := np.flatnonzero(frame[name].isna())):
            what = "a name" if name == "filename" else "a subject (intervals are over subjects)"
            raise DataError(f"{shown}:{rows[0] + 2}: {name}: expected {what}, got an empty cell; fill it in")
    for name in {"dataset", *columns} & set(frame.columns):
        frame[name] = frame[name].fillna("").str.strip()
    if _unnamed_subjects(frame):
        raise DataError(
            f"{shown}: subject: expected subjects, got a different one for each face, as from labels without subjects; "
            "set data.columns.subject to the column of the subjects in the labels, and test again"
        )
    for au in aus:
        _check(frame, f"{au}{PROBABILITY}", shown, highest=1, empty=False)
        _check(frame, f"{au}{OCCURS}", shown, highest=1, whole=True)
        for column in (f"{au}{INTENSITY}", au):
            if column in names:
                _check(frame, column, shown, highest=FACS_MAX, empty=column == au)
    return frame


def _standard(name: str) -> str:
    """Normalise the name of an AU column, AU01_prob to AU1_prob; leave other names as they are."""
    ending = next((each for each in (PROBABILITY, OCCURS, INTENSITY) if name.endswith(each)), "")
    found = parse_column(name.removesuffix(ending))
    return f"{found.au}{ending}" if found is not None and found.kind == "label" else name


def _lacks(column: str, names: list[str], shown: str) -> DataError:
    close = similar_names(column, names) if column in TEXTS else ""
    if column == "subject" and (other := next((name for name in ("Subject", "Person", "id") if name in names), "")):
        close = f"rename '{other}' to 'subject'"
    head = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return DataError(f"{shown}: expected a column '{column}', got {head}; {close or f'name the columns {_COLUMNS}'}")


def _unnamed_subjects(frame: pd.DataFrame) -> bool:
    """Whether each subject is a file name, as for faces without a subject."""
    pairs = zip(frame["subject"], frame["filename"], strict=True)
    return len(frame) > 1 and all(subject == name or subject.endswith(f"/{name}") for subject, name in pairs)


def _check(
    frame: pd.DataFrame, column: str, shown: str, *, highest: float, empty: bool = True, whole: bool = False
) -> None:
    """Turn a column into numbers; raise DataError for a cell that is not a number or out of range."""
    numbers = pd.to_numeric(frame[column], errors="coerce").astype(np.float64)
    values, blank = numbers.to_numpy(), frame[column].isna().to_numpy()
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= highest) & (~np.bool_(whole) | (values == np.round(values)))
    wrong = np.flatnonzero(~(good | (blank & empty)))
    if len(wrong):
        row = int(wrong[0])
        cell = "an empty cell or NaN" if blank[row] else f"'{frame[column].iloc[row]}'"
        what = "0, 1 or an empty cell" if whole else f"a number from 0 to {highest:g}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        step = "leave that face out of all tables, or predict it" if not empty else "correct it"
        raise DataError(f"{shown}:{row + 2}: {column}: expected {what}, got {cell}{more}; {step}")
    frame[column] = numbers
