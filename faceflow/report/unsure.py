"""Coverage that was reached in a test, by unsure bands and intensity intervals, as a table and a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.table import Table

from faceflow.conformal import Conformal
from faceflow.console import add_row, number, plain_table
from faceflow.encoding import Array
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.occurrence import macro

_HEADERS = {
    "active_held": "held, active",
    "inactive_held": "held, inactive",
    "unsure": "unsure",
    "missed": "missed",
    "missed_sure": "missed, sure",
    "false": "false alarms",
    "false_sure": "false, sure",
    "intensity_held": "held, intensity",
    "radius": "±",
}


@dataclass(frozen=True, kw_only=True)
class HeldCoverage:
    """Shares per AU, (A,) by name; NaN without faces.

    active_held, inactive_held: share of labelled active (inactive) faces inside the band or on its correct side.
    unsure: share of labelled faces. missed, missed_sure: share of active faces predicted inactive, and of those that
    are also outside the band; false, false_sure: the same for inactive faces predicted active.
    intensity_held: share of faces with an intensity whose interval holds it; radius: half its width, in FACS units.
    """

    aus: Sequence[str]
    faces: Sequence[int]
    shares: Mapping[str, Array]

    @classmethod
    def measure(
        cls,
        band: Conformal,
        thresholds: Mapping[str, float],
        prediction: Prediction,
        *,
        aus: Sequence[str],
        occurrence: NDArray[np.bool_],
        intensity: Array,
        observed: NDArray[np.bool_],
    ) -> HeldCoverage:
        """Measure the coverage of a band on predictions and labels of the same faces and AUs, (N, A) each."""
        shares = {name: np.full(len(aus), np.nan) for name in _HEADERS}
        faces = [0] * len(aus)
        for column, au in enumerate(aus):
            p = prediction.probability[:, column]
            rows = observed[:, column] & np.isfinite(p)
            faces[column] = int(rows.sum())
            if au not in band.low or not rows.any():
                continue
            p, active = p[rows], occurrence[rows, column]
            threshold = thresholds.get(au, np.nan)
            unsure, called = band.unsure(p, threshold, au) == 1, p >= threshold
            found = {
                "active_held": p[active] >= band.low[au],
                "inactive_held": p[~active] <= band.high[au],
                "unsure": unsure,
                "missed": ~called[active],
                "missed_sure": (~called & ~unsure)[active],
                "false": called[~active],
                "false_sure": (called & ~unsure)[~active],
            }
            if prediction.intensity is not None and au in band.radius:
                low, high = band.interval(prediction.intensity[rows, column], au)
                graded = intensity[rows, column]
                found["intensity_held"] = ((low <= graded) & (graded <= high))[np.isfinite(graded)]
                shares["radius"][column] = band.radius[au]
            for name, values in found.items():
                shares[name][column] = values.mean() if len(values) else np.nan
        used = {name: values for name, values in shares.items() if name in list(_HEADERS)[:7] or band.radius}
        return cls(aus=aus, faces=faces, shares=used)

    @property
    def means(self) -> dict[str, float]:
        """Means over the AUs with a value."""
        return {name: macro(values) for name, values in self.shares.items()}


def held_frame(held: Mapping[str, HeldCoverage]) -> pd.DataFrame:
    """One row per data set and AU: `dataset`, `au`, `faces`, and the shares of `HeldCoverage`."""
    rows = [
        {"dataset": name, "au": au, "faces": each.faces[index]}
        | {key: values[index] for key, values in each.shares.items()}
        for name, each in held.items()
        for index, au in enumerate(each.aus)
    ]
    return pd.DataFrame(rows)


def held_table(held: HeldCoverage, *, title: str, protocol: str) -> Table:
    """Show one data set on the terminal; `protocol` says which coverage was promised."""
    caption = (
        "held: share of active (inactive) faces inside the AU's unsure band or on its correct side. missed, false "
        "alarms: share of active and of inactive faces that the threshold gets wrong; sure: the part of these that is "
        f"outside the band.\npromised: {protocol}"
    )
    headers = ["faces", *(_HEADERS[name] for name in held.shares)]
    table = plain_table(f"Unsure decisions: {title}", ["AU"], headers, caption=caption)
    for index, au in enumerate(held.aus):
        add_row(table, [au, str(held.faces[index]), *(number(values[index]) for values in held.shares.values())])
    table.add_section()
    add_row(table, ["mean", "", *(number(value) for value in held.means.values())], style="bold")
    return table
