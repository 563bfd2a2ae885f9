"""Cost of a lower precision: metrics of a network and of its exported file on the same labelled faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import DataError, ExportError
from faceflow.evaluation.predictors import Predictor
from faceflow.evaluation.testing import test_network
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.metric import Place, columns_in


@dataclass(frozen=True, kw_only=True)
class MetricCost:
    """A mean over AUs in full and in lower precision, and the AU that loses most, with its loss."""

    metric: str
    before: float
    after: float
    worst: str
    worst_drop: float

    @property
    def drop(self) -> float:
        """Loss of the mean, negative for a gain."""
        return self.before - self.after

    def __str__(self) -> str:
        change = f"{self.metric} {self.before:.4f} -> {self.after:.4f} (drop {self.drop:z.4f}"
        return f"{change}; most: {self.worst} {self.worst_drop:z.4f})"


@dataclass(frozen=True, kw_only=True)
class PrecisionCost:
    """Loss of each metric, and the faces on which it was measured."""

    metrics: tuple[MetricCost, ...]
    faces: str

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.metrics))} on {self.faces}"

    @classmethod
    def between(cls, full: Evaluation, low: Evaluation, *, faces: str) -> Self:
        """Compare ICC if there are intensities, F1 at the validation thresholds, and other metrics that declare it.

        Raises:
            DataError: no AU has a value of one of these metrics on these labels.
        """
        graded_first = sorted(columns_in(Place.EXPORT), key=lambda column: not column.metric.graded)
        names = [column.name for column in graded_first if column.name in full.columns]
        costs = []
        for name in names:
            drops = full.columns[name] - low.columns[name]
            if np.isfinite(drops).any():
                worst = int(np.nanargmax(drops))
                costs.append(
                    MetricCost(
                        metric=name,
                        before=full.summary[name],
                        after=low.summary[name],
                        worst=full.aus[worst],
                        worst_drop=float(drops[worst]),
                    )
                )
        if not costs:
            raise DataError(
                f"data: expected labels on which {' or '.join(names)} is defined, to measure the cost of precision, "
                "got none; use more faces, of both classes"
            )
        return cls(metrics=tuple(costs), faces=faces)


def measure_cost(
    full: Predictor,
    low: Predictor,
    thresholds: Mapping[str, float],
    tables: Sequence[FaceTable],
    *,
    pipeline: Pipeline,
    loading: Loading,
) -> PrecisionCost:
    """Test both predictors on all faces of the tables."""

    def pooled(predictor: Predictor) -> Evaluation:
        return test_network(
            predictor, thresholds, tables, pipeline=pipeline, loading=loading, bootstrap=None, center=None
        ).pooled

    faces = ", ".join(f"{table.name} ({len(table)} images)" for table in tables)
    return PrecisionCost.between(pooled(full), pooled(low), faces=faces)


def check_cost(cost: PrecisionCost, precision: str, *, max_drop: float | None, max_drop_au: float | None) -> None:
    """Refuse a precision that costs too much, on the mean over AUs or on a single AU.

    Raises:
        ExportError: a loss is above its limit.
    """
    for one in cost.metrics:
        if max_drop is not None and one.drop > max_drop:
            raise ExportError(
                f"max_drop: expected {precision} to cost at most {max_drop:g} of the mean {one.metric}, got {cost}; "
                "use another precision, or raise max_drop"
            )
        if max_drop_au is not None and one.worst_drop > max_drop_au:
            raise ExportError(
                f"max_drop_au: expected {precision} to cost no AU more than {max_drop_au:g} of its {one.metric}, got "
                f"{one.worst_drop:.4f} for {one.worst} ({cost}); use another precision, or raise max_drop_au"
            )
