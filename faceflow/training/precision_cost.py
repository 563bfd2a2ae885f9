"""What a lower precision costs: metrics of a network and of its exported file on the same labelled faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import DataError, ExportError
from faceflow.metrics.evaluation import Evaluation
from faceflow.training.predictors import Predictor
from faceflow.training.testing import test_network


@dataclass(frozen=True, kw_only=True)
class PrecisionCost:
    """A mean over AUs in full precision and in the lower one, and the AU that loses most, by how much."""

    metric: str
    before: float
    after: float
    worst: str
    worst_drop: float
    faces: str

    @property
    def drop(self) -> float:
        """Loss of the mean, negative for a gain."""
        return self.before - self.after

    def __str__(self) -> str:
        change = f"{self.metric} {self.before:.4f} -> {self.after:.4f} (drop {self.drop:z.4f}"
        return f"{change}; most: {self.worst} {self.worst_drop:z.4f}) on {self.faces}"

    @classmethod
    def between(cls, full: Evaluation, low: Evaluation, *, faces: str) -> Self:
        """Compare ICC where there are intensities, else F1 at the thresholds of validation.

        Raises:
            DataError: labels on which no AU has that metric.
        """
        metric = "icc" if "icc" in full.summary else "f1_val"
        drops = full.columns[metric] - low.columns[metric]
        if not np.isfinite(drops).any():
            raise DataError(
                f"data: expected labels on which {metric} is defined, to measure what precision costs, got none; take "
                "more faces, of both classes"
            )
        worst = int(np.nanargmax(drops))
        return cls(
            metric=metric,
            before=full.summary[metric],
            after=low.summary[metric],
            worst=full.aus[worst],
            worst_drop=float(drops[worst]),
            faces=faces,
        )


def measure_cost(
    full: Predictor,
    low: Predictor,
    thresholds: Mapping[str, float],
    tables: Sequence[FaceTable],
    *,
    pipeline: Pipeline,
    batch_size: int,
    workers: int,
    timeout_s: float,
) -> PrecisionCost:
    """Test both on all faces of some tables."""

    def pooled(predictor: Predictor) -> Evaluation:
        result = test_network(
            predictor,
            thresholds,
            tables,
            pipeline=pipeline,
            batch_size=batch_size,
            workers=workers,
            timeout_s=timeout_s,
            bootstrap=None,
        )
        return result.evaluations[result.pooled.name]

    faces = ", ".join(f"{table.name} ({len(table)} images)" for table in tables)
    return PrecisionCost.between(pooled(full), pooled(low), faces=faces)


def check_cost(cost: PrecisionCost, precision: str, max_drop: float | None) -> None:
    """Refuse a precision that costs too much.

    Raises:
        ExportError: the loss is above the limit.
    """
    if max_drop is not None and cost.drop > max_drop:
        raise ExportError(
            f"max_drop: expected {precision} to cost at most {max_drop:g}, got {cost}; take another precision, or "
            "allow it with max_drop"
        )
