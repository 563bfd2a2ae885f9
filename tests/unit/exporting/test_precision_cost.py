from __future__ import annotations

import math

import numpy as np
import pytest

from faceflow.errors import DataError, ExportError
from faceflow.exporting.precision_cost import PrecisionCost, check_cost
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.occurrence import macro

NAN = math.nan


def scored(f1: list[float], icc: list[float] | None = None) -> Evaluation:
    columns = {"f1_val": f1} | ({} if icc is None else {"icc": icc})
    return Evaluation(
        aus=("AU1", "AU4", "AU12"),
        rows=9,
        columns={name: np.array(values) for name, values in columns.items()},
        summary={name: macro(np.array(values)) for name, values in columns.items()},
    )


def between(full: Evaluation, low: Evaluation) -> PrecisionCost:
    return PrecisionCost.between(full, low, faces="faces (9 images)")


def test_cost_is_the_change_of_the_mean_and_names_the_au_that_loses_most() -> None:
    cost = between(scored([0.75, 0.5, NAN]), scored([0.5, 1.0, NAN]))
    (f1,) = cost.metrics
    assert (f1.metric, f1.drop, f1.worst, f1.worst_drop) == ("f1_val", -0.125, "AU1", 0.25)
    assert str(cost) == "f1_val 0.6250 -> 0.7500 (drop -0.1250; most: AU1 0.2500) on faces (9 images)"


def test_networks_of_intensity_are_compared_by_icc_and_by_f1() -> None:
    cost = between(scored([1.0, 1, 1], [0.5, 0.5, 0.5]), scored([1.0, 0.5, 1], [0.5, 0.5, 0.25]))
    icc, f1 = cost.metrics
    assert (icc.metric, icc.worst, icc.worst_drop) == ("icc", "AU12", 0.25)
    assert icc.drop == pytest.approx(0.25 / 3)
    assert (f1.metric, f1.worst, f1.worst_drop) == ("f1_val", "AU4", 0.5)


def test_labels_without_the_metric_are_an_error() -> None:
    with pytest.raises(DataError, match="^data: expected labels on which f1_val is defined"):
        between(scored([NAN, NAN, 0.5]), scored([0.5, 0.5, NAN]))
    between(scored([NAN, NAN, NAN], [0.5, 0.5, 0.5]), scored([NAN, NAN, NAN], [0.5, 0.5, 0.5]))


def test_cost_is_refused_above_the_limit_only() -> None:
    cost = between(scored([0.5, 0.5, 0.5]), scored([0.5, 0.5, 0.25]))
    check_cost(cost, "int8", max_drop=0.084, max_drop_au=None)
    check_cost(cost, "int8", max_drop=None, max_drop_au=None)
    gain = between(scored([0.5, 0.5, 0.25]), scored([0.5, 0.5, 0.5]))
    check_cost(gain, "int8", max_drop=0.0, max_drop_au=0.0)
    with pytest.raises(
        ExportError, match="^max_drop: expected int8 to cost at most 0.08 of the mean f1_val, got f1_val"
    ):
        check_cost(cost, "int8", max_drop=0.08, max_drop_au=None)


def test_one_au_that_loses_much_is_refused_where_the_mean_hides_it() -> None:
    cost = between(scored([0.4, 0.5, 0.5]), scored([0.5, 0.5, 0.391]))
    check_cost(cost, "int8", max_drop=0.01, max_drop_au=None)  # the mean loses 0.003
    check_cost(cost, "int8", max_drop=0.01, max_drop_au=0.11)
    with pytest.raises(ExportError) as caught:
        check_cost(cost, "int8", max_drop=0.01, max_drop_au=0.05)
    assert str(caught.value).startswith(
        "max_drop_au: expected int8 to cost no AU more than 0.05 of its f1_val, got 0.1090 for AU12 "
        "(f1_val 0.4667 -> 0.4637 (drop 0.0030; most: AU12 0.1090)"
    )


def test_f1_of_an_au_is_guarded_in_networks_of_intensity_too() -> None:
    cost = between(scored([1.0, 1, 1], [0.5, 0.5, 0.5]), scored([1.0, 0.9, 1.1], [0.5, 0.5, 0.5]))
    with pytest.raises(ExportError, match=r"no AU more than 0\.05 of its f1_val, got 0\.1000 for AU4"):
        check_cost(cost, "int8", max_drop=0.01, max_drop_au=0.05)
