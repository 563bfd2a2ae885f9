"""One score over the folds of a protocol, in both conventions: mean over folds, and pooled predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A metric of one AU, or its mean over AUs.

    `values` has one value per fold, NaN if a fold has none, for example for an AU that none of its faces shows.
    `pooled` is the metric on the predictions of all folds together, `low` and `high` bound its 95 % interval over
    subjects; NaN if unknown.
    """

    values: tuple[float, ...]
    pooled: float = np.nan
    low: float = np.nan
    high: float = np.nan

    @property
    def folds(self) -> int:
        """Number of folds that have a value."""
        return int(np.isfinite(self.values).sum())

    @property
    def mean(self) -> float:
        """Mean over these folds."""
        return float(np.mean(self._defined)) if self.folds else np.nan

    @property
    def std(self) -> float:
        """Sample standard deviation over these folds; NaN for fewer than two."""
        return float(np.std(self._defined, ddof=1)) if self.folds > 1 else np.nan

    def to_dict(self) -> dict[str, float]:
        """Plain numbers."""
        return {"folds": self.folds, **self.spread()}

    def spread(self) -> dict[str, float]:
        """Summary of the folds, in the order of tables."""
        return {"mean": self.mean, "std": self.std, "pooled": self.pooled, "low": self.low, "high": self.high}

    @property
    def _defined(self) -> list[float]:
        return [value for value in self.values if np.isfinite(value)]
