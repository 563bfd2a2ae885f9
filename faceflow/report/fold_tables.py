"""Tables over the folds of a protocol: one row per fold, and one row per AU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from faceflow.aus import description
from faceflow.console import add_row, number, plain_table
from faceflow.metrics.aggregate import Aggregate
from faceflow.metrics.guesses import GUESSES
from faceflow.metrics.metric import header_of

_MOST_FOLDS = 6  # that have a column each
_LABELS = {"low": "pooled, 95 % low", "high": "pooled, 95 % high"}


@dataclass(frozen=True, kw_only=True)
class FoldScores:
    """Results of the test of one fold.

    `aus` counts the AUs with both classes, `scores` are means over the AUs for which a metric is defined, and `per_au`
    holds AU -> value by metric. Both include the F1 of guessing (`GUESSES`) if faces were tested. Undefined values are
    NaN or absent.
    """

    name: str
    images: int
    subjects: int
    aus: int
    scores: Mapping[str, float]
    per_au: Mapping[str, Mapping[str, float]]


def folds_table(
    folds: Sequence[FoldScores], overall: Mapping[str, Aggregate], *, title: str, unit: str, caption: str
) -> Table:
    """Show one row per fold, and summary rows below.

    Args:
        folds: in order.
        overall: metric -> its means over AUs in all folds.
        title: of the table.
        unit: what the name of a fold stands for, such as fold or domain.
        caption: below the table, before the counts of AUs where they differ.
    """
    names = sorted(overall, key=lambda name: name not in GUESSES)
    headers = [header_of(name) for name in names]
    notes = [note for metric in overall if (note := _other_counts(folds, metric))]
    if notes:
        caption += f"\nAUs in the mean, where the number differs from the row: {'; '.join(notes)}"
    table = plain_table(title, [unit], ["images", "subjects", "AUs", *headers], caption=caption)
    for position, fold in enumerate(folds):
        scores = [number(overall[name].values[position]) for name in names]
        add_row(table, [fold.name, str(fold.images), str(fold.subjects), str(fold.aus), *scores])
    table.add_section()
    for label, values in summary_rows(overall).items():
        style = "bold" if label == "mean" else ""
        cells = [number(values[name]) for name in names]
        add_row(table, [_LABELS.get(label, label), "", "", "", *cells], style=style)
    return table


def aus_table(
    per_au: Mapping[str, Aggregate],
    mean: Aggregate,
    *,
    title: str,
    folds: Sequence[str],
    caption: str,
    guesses: Mapping[str, Mapping[str | None, float]] | None = None,
) -> Table:
    """Show one row per AU: a metric in every fold, their mean and deviation, and the pooled value with its interval.

    Args:
        per_au: AU -> the metric over folds.
        mean: of the metric over AUs.
        title: of the table.
        folds: names, in the order of the values.
        caption: below the table.
        guesses: F1 of guessing on the faces of all folds: name -> AU -> value; None -> mean.
    """
    beside = guesses or {}
    shown = list(folds) if len(folds) <= _MOST_FOLDS else []
    numbers = [*map(header_of, beside), *shown, "folds", "mean", "std", "pooled", "95 % of pooled"]
    table = plain_table(title, ["AU", "description"], numbers, caption=caption)
    for au, aggregate in per_au.items():
        style = "" if aggregate.folds == len(folds) else "dim"
        guessed = [number(values[au]) for values in beside.values()]
        add_row(table, [au, description(au), *guessed, *_cells(aggregate, len(shown))], style=style)
    table.add_section()
    known = sum(aggregate.folds > 0 for aggregate in per_au.values())
    guessed = [number(values[None]) for values in beside.values()]
    add_row(table, ["mean", f"of {known} of {len(per_au)} AUs", *guessed, *_cells(mean, len(shown))], style="bold")
    return table


def summary_rows(overall: Mapping[str, Aggregate]) -> dict[str, dict[str, float]]:
    """Summary over folds, label -> metric -> value, without labels for which no metric has a value."""
    spreads = {metric: aggregate.spread() for metric, aggregate in overall.items()}
    labels = next(iter(spreads.values()))
    rows = {label: {metric: spread[label] for metric, spread in spreads.items()} for label in labels}
    return {
        label: values
        for label, values in rows.items()
        if label in ("mean", "std") or any(np.isfinite(value) for value in values.values())
    }


def _other_counts(folds: Sequence[FoldScores], metric: str) -> str:
    """List the folds where the mean of a metric covers another number of AUs than the row says; empty if none."""
    counts = {fold.name: np.isfinite([*fold.per_au.get(metric, {}).values()]).sum() for fold in folds}
    others = [f"{fold.name} {counts[fold.name]}" for fold in folds if fold.per_au and counts[fold.name] != fold.aus]
    listed = ", ".join(others) if len(others) <= _MOST_FOLDS else f"in {len(others)} of {len(folds)} rows"
    return f"{header_of(metric)} {listed}" if others else ""


def _cells(aggregate: Aggregate, shown: int) -> list[str]:
    known = np.isfinite(aggregate.low)
    return [
        *map(number, aggregate.values[:shown]),
        f"{aggregate.folds}/{len(aggregate.values)}",
        *map(number, (aggregate.mean, aggregate.std, aggregate.pooled)),
        f"{number(aggregate.low)} to {number(aggregate.high)}" if known else "-",
    ]
