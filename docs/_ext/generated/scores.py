"""Every metric, from its declaration."""

from __future__ import annotations

from faceflow.metrics.metric import Metric, columns, declared
from generated.markdown import code, plain, table

PAGE = "reference/columns"


def markdown() -> str:
    """A row for each metric: its columns in files, what it is computed from, and its formula in words."""
    return table(("Column", "In tables", "From", "Needs labels of", "Meaning"), map(_row, declared()))


def _row(metric: Metric) -> tuple[str, ...]:
    names = ", ".join(code(column.name) for column in columns() if column.metric is metric)
    first = (metric.formula.__doc__ or "").partition("\n\n")[0]
    better = " Lower is better." if metric.lower_is_better else ""
    meaning = plain(" ".join(first.split()), page=PAGE) + better
    return names, plain(metric.header, page=PAGE), metric.needs.value, metric.defined_on, meaning
