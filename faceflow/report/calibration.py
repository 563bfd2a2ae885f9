"""How calibration changed the probabilities of a test, as a table and a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.table import Table

from faceflow.console import add_row, number, plain_table
from faceflow.encoding import Array
from faceflow.metrics.calibration import BINS, brier_scores, calibration_errors, calibration_floors
from faceflow.metrics.occurrence import macro


@dataclass(frozen=True, kw_only=True)
class CalibrationChange:
    """Number of labelled faces per AU, (A,), and calibration errors before and after; NaN without labels.

    `ece_floor` is the ECE that exact probabilities would have on these faces.
    """

    aus: Sequence[str]
    observed: NDArray[np.int64]
    ece_before: Array
    ece: Array
    ece_floor: Array
    brier_before: Array
    brier: Array

    @classmethod
    def measure(
        cls,
        aus: Sequence[str],
        before: Array,
        after: Array,
        truth: NDArray[np.bool_],
        observed: NDArray[np.bool_],
    ) -> CalibrationChange:
        """Measure probabilities before and after calibration against labels, (N, A) each."""
        seen = observed & np.isfinite(after)
        return cls(
            aus=tuple(aus),
            observed=seen.sum(axis=0),
            ece_before=calibration_errors(before, truth, seen),
            ece=calibration_errors(after, truth, seen),
            ece_floor=calibration_floors(after, truth, seen),
            brier_before=brier_scores(before, truth, seen),
            brier=brier_scores(after, truth, seen),
        )

    @property
    def means(self) -> dict[str, float]:
        """Means over the AUs with labels."""
        return {name: macro(getattr(self, name)) for name in _ERRORS}


_ERRORS = tuple(field.name for field in fields(CalibrationChange))[2:]


def calibration_frame(changes: Mapping[str, CalibrationChange]) -> pd.DataFrame:
    """One row per data set and AU: `dataset`, `au`, `observed`, and both errors before and after."""
    rows = [
        {"dataset": name, "au": au} | {key: getattr(change, key)[index] for key in ("observed", *_ERRORS)}
        for name, change in changes.items()
        for index, au in enumerate(change.aus)
    ]
    return pd.DataFrame(rows)


def calibration_table(change: CalibrationChange, *, title: str, protocol: str) -> Table:
    """Show one data set on the terminal; `protocol` says how probabilities were calibrated."""
    caption = (
        f"ECE: expected calibration error over {BINS} bins of equal width (Guo et al. 2017); Brier: mean squared "
        "difference from the label; 0 is best. floor: ECE that exact probabilities would have on these faces.\n"
        f"calibration: {protocol}"
    )
    headers = ["faces", "ECE before", "ECE", "floor", "Brier before", "Brier"]
    table = plain_table(f"Calibration: {title}", ["AU"], headers, caption=caption)
    for index, au in enumerate(change.aus):
        errors = [number(getattr(change, name)[index]) for name in _ERRORS]
        add_row(table, [au, str(change.observed[index]), *errors])
    table.add_section()
    add_row(table, ["mean", "", *(number(value) for value in change.means.values())], style="bold")
    return table
