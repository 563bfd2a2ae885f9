"""A hand-made calibration."""

from __future__ import annotations

from collections.abc import Sequence

from faceflow.aus import joined
from faceflow.calibration import PLATT, Calibration


def calibration_of(aus: Sequence[str], *, levels: int = 0) -> Calibration:
    """Logits are halved and raised by 0.5 for the first AU, by 1 for the second, ...; level l becomes 2 * logit - l."""
    names = list(dict.fromkeys([*aus, *map(joined, aus)]))
    steps = list(dict.fromkeys(map(joined, aus)))
    return Calibration(
        method=PLATT,
        subjects=5,
        chosen=True,
        slope=dict.fromkeys(names, 0.5),
        offset={au: 0.5 * (1 + steps.index(joined(au))) for au in names},
        levels={au: [[2.0, -float(level)] for level in range(levels)] for au in names} if levels else {},
    )
