"""Thresholds from which an AU counts as active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.contract import ModelContract

_UNTUNED = 0.5


def threshold_of(contract: ModelContract, au: str) -> float:
    """Probability from which an AU is active: tuned on validation, or 0.5 by default."""
    return float(contract.thresholds.get(au, _UNTUNED))


def thresholds_of(contract: ModelContract) -> NDArray[np.float64]:
    """Thresholds of all AUs, (A,)."""
    return np.array([threshold_of(contract, au) for au in contract.aus], np.float64)
