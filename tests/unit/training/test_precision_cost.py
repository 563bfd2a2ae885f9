from __future__ import annotations

import math

import numpy as np
import pytest

from faceflow.errors import DataError, ExportError
from faceflow.metrics.evaluation import Evaluation
from faceflow.training.precision_cost import PrecisionCost, check_cost

NAN = math.nan


def scored(f1: list[float], icc: list[float] | None = None) -> Evaluation:
    columns = {"f1_val": f1} | ({} if icc is None else {"icc": icc})
    return Evaluation(
        aus=("AU1", "AU4", "AU12"),
        rows=9,
        columns={name: np.array(values) for name, values in columns.items()},
        summary={name: float(np.nanmean(values)) for name, values in columns.items()},
    )


def between(full: Evaluation, low: Evaluation) -> PrecisionCost:
    return PrecisionCost.between(full, low, faces="faces (9 images)")


def test_cost_is_the_change_of_the_mean_and_names_the_au_that_loses_most() -> None:
    cost = between(scored([0.75, 0.5, NAN]), scored([0.5, 1.0, NAN]))
    assert (cost.metric, cost.drop, cost.worst, cost.worst_drop) == ("f1_val", -0.125, "AU1", 0.25)
    assert str(cost) == "f1_val 0.6250 -> 0.7500 (drop -0.1250; most: AU1 0.2500) on faces (9 images)"


def test_intensity_is_compared_by_icc() -> None:
    cost = between(scored([1.0, 1, 1], [0.5, 0.5, 0.5]), scored([0.0, 0, 0], [0.5, 0.5, 0.25]))
    assert (cost.metric, cost.worst, cost.worst_drop) == ("icc", "AU12", 0.25)
    assert cost.drop == pytest.approx(0.25 / 3)


def test_labels_without_the_metric_are_an_error() -> None:
    with pytest.raises(DataError, match="^data: expected labels on which f1_val is defined"):
        between(scored([NAN, NAN, 0.5]), scored([0.5, 0.5, NAN]))


def test_cost_is_refused_above_the_limit_only() -> None:
    cost = between(scored([0.5, 0.5, 0.5]), scored([0.5, 0.5, 0.25]))
    check_cost(cost, "int8", 0.084)
    check_cost(cost, "int8", None)
    check_cost(between(scored([0.5, 0.5, 0.25]), scored([0.5, 0.5, 0.5])), "int8", 0.0)  # a gain
    with pytest.raises(ExportError, match="^max_drop: expected int8 to cost at most 0.08, got f1_val 0.5000 -> 0.4167"):
        check_cost(cost, "int8", 0.08)
