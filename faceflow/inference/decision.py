"""When an AU counts as active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.contract import ModelContract

_UNTUNED = 0.5


def threshold_of(contract: ModelContract, au: str) -> float:
    """Probability from which on an AU is active: tuned on validation, else one half."""
    return float(contract.thresholds.get(au, _UNTUNED))


def thresholds_of(contract: ModelContract) -> NDArray[np.float64]:
    """Those of all AUs, (A,)."""
    return np.array([threshold_of(contract, au) for au in contract.aus], np.float64)
