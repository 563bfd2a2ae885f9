"""Declaration of metrics: a decorator above a formula states what it needs and where it is shown.

Metrics are found in every module of this package (`declared`): there is no list to edit. A decision metric gives two
columns, `f1_val` at the validation thresholds and `f1_0.5` at 0.5; others give one.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceflow.metrics.guesses import GUESSES
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from faceflow.metrics.intensity import IntensityRows, Moments
    from faceflow.metrics.occurrence import Confusion
    from faceflow.metrics.ranking import Ranking

FloatArray = NDArray[np.float64]

AT_VAL, AT_HALF = "val", str(DEFAULT_THRESHOLD)
_FIRST = ("occurrence", "intensity")  # the usual metrics come first in tables and files


class Place(Flag):
    """Where a column is shown; files of results and the tables of a sweep hold all columns."""

    NOWHERE = 0
    OCCURRENCE_TABLE = auto()  # of a test without intensities
    INTENSITY_TABLE = auto()  # of a test with intensities
    TEST_TABLES = OCCURRENCE_TABLE | INTENSITY_TABLE
    HEADLINE = auto()  # of report.html
    FOLDS = auto()  # tables and files over folds
    CURVES = auto()  # over the epochs of a training
    EXPORT = auto()  # cost of a lower precision


class Needs(Enum):
    """Input of a formula for every AU, in the order of columns."""

    DECISIONS = "counts of right and wrong decisions"
    RANKING = "scores in their order"
    INTENSITY = "predicted and true intensities"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of one AU.

    Attributes:
        name: name of its column, and of its mean over AUs.
        header: header in tables.
        needs: what `formula` takes: `Confusion`, `Ranking` or `IntensityRows`.
        formula: returns the values of all AUs (A,), or of a single AU for a `Ranking`.
        lower_is_better: True for errors.
        at_val, at_half: where it is shown, by threshold; metrics without a threshold use `at_val`.
        of_moments: formula of an intensity metric from sums over frames, for intervals.
        intervals: whether tests report its 95 % interval over subjects.
        defined_on: what labels must show for it to have a value.
        averaged: whether its mean over AUs is meaningful.
    """

    name: str
    header: str
    needs: Needs
    formula: Callable[[Any], Any]
    lower_is_better: bool = False
    at_val: Place = Place.NOWHERE
    at_half: Place = Place.NOWHERE
    of_moments: Callable[[Moments], FloatArray] | None = None
    intervals: bool = False
    defined_on: str = "both classes"
    averaged: bool = True

    @property
    def graded(self) -> bool:
        """Whether it needs intensities, which only networks with levels give."""
        return self.needs is Needs.INTENSITY


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric at a threshold, None if it has none: `f1_val`, in tables `F1@val`."""

    metric: Metric
    threshold: str | None
    shown: Place

    @property
    def name(self) -> str:
        """Name of the column in files."""
        return self.metric.name if self.threshold is None else f"{self.metric.name}_{self.threshold}"

    @property
    def header(self) -> str:
        """Header of the column in tables."""
        return self.metric.header if self.threshold is None else f"{self.metric.header}@{self.threshold}"


def decision_metric(
    header: str,
    *,
    lower_is_better: bool = False,
    at_val: Place = Place.NOWHERE,
    at_half: Place = Place.NOWHERE,
    intervals: bool = False,
) -> Callable[[Callable[[Confusion], FloatArray]], Metric]:
    """Declare a decision metric; it has no value for an AU that lacks one of the classes."""

    def declare(formula: Callable[[Confusion], FloatArray]) -> Metric:
        return Metric(
            name=formula.__name__,
            header=header,
            needs=Needs.DECISIONS,
            formula=formula,
            lower_is_better=lower_is_better,
            at_val=at_val,
            at_half=at_half,
            intervals=intervals,
        )

    return declare


def ranking_metric(
    header: str, *, lower_is_better: bool = False, shown: Place = Place.NOWHERE, averaged: bool = True
) -> Callable[[Callable[[Ranking], float]], Metric]:
    """Declare a metric of the order of scores; its formula is called only for AUs with both classes."""

    def declare(formula: Callable[[Ranking], float]) -> Metric:
        return Metric(
            name=formula.__name__,
            header=header,
            needs=Needs.RANKING,
            formula=formula,
            lower_is_better=lower_is_better,
            at_val=shown,
            averaged=averaged,
        )

    return declare


def intensity_metric(
    header: str,
    *,
    lower_is_better: bool = False,
    shown: Place = Place.NOWHERE,
    of_moments: Callable[[Moments], FloatArray] | None = None,
    defined_on: str = "intensities",
) -> Callable[[Callable[[IntensityRows], FloatArray]], Metric]:
    """Declare an intensity metric; with a formula of moments it gets intervals."""

    def declare(formula: Callable[[IntensityRows], FloatArray]) -> Metric:
        return Metric(
            name=formula.__name__,
            header=header,
            needs=Needs.INTENSITY,
            formula=formula,
            lower_is_better=lower_is_better,
            at_val=shown,
            of_moments=of_moments,
            intervals=of_moments is not None,
            defined_on=defined_on,
        )

    return declare


@functools.cache
def declared() -> tuple[Metric, ...]:
    """Every metric of this package: decision, ranking and intensity metrics, each in the order of their modules."""
    package = importlib.import_module("faceflow.metrics")
    names = [*_FIRST, *sorted(module.name for module in pkgutil.iter_modules(package.__path__))]
    modules = [importlib.import_module(f"faceflow.metrics.{name}") for name in dict.fromkeys(names)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Metric)]
    metrics = list({metric.name: metric for metric in found}.values())
    assert all(metric in metrics for metric in found), "two metrics have one name"
    return tuple(metric for needs in Needs for metric in metrics if metric.needs is needs)


def metrics_of(needs: Needs) -> Sequence[Metric]:
    """Metrics whose formula takes this input."""
    return [metric for metric in declared() if metric.needs is needs]


def columns() -> Sequence[Column]:
    """Columns of all metrics in the order of tables; both thresholds of a decision metric are adjacent."""
    return [
        Column(metric=metric, threshold=threshold, shown=shown)
        for metric in declared()
        for threshold, shown in (
            ((AT_VAL, metric.at_val), (AT_HALF, metric.at_half))
            if metric.needs is Needs.DECISIONS
            else ((None, metric.at_val),)
        )
    ]


def columns_in(place: Place) -> Sequence[Column]:
    """Columns that are shown in a place."""
    return [column for column in columns() if place in column.shown]


def column_named(name: str) -> Column | None:
    """The column with a name; None if it is not a metric, such as a bound or a monitored loss."""
    return next((column for column in columns() if column.name == name), None)


def header_of(name: str) -> str:
    """Header of a column in tables; its name if neither a metric nor a guess declares it."""
    column = column_named(name)
    return GUESSES.get(name, name) if column is None else column.header
