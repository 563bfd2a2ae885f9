"""The scores of all folds side by side, and what sums them up: mean, deviation, pooled value and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from faceflow.aus import description, sort_key
from faceflow.console import print_lines, print_tables
from faceflow.data.assembly import POOLED
from faceflow.data.sources import FaceTable
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.pooled import Pooled, pool_tests
from faceflow.evaluation.record import read_record, run_record
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_protocol
from faceflow.metrics.aggregate import Aggregate
from faceflow.metrics.metric import Place, columns_in
from faceflow.report.fold_tables import FoldScores, aus_table, folds_table, summary_rows
from faceflow.report.result_files import marked, write_json, write_table

_PooledScores = Mapping[str, Mapping[str | None, Pooled]]  # metric -> AU, or None for the mean over AUs


@dataclass(frozen=True, kw_only=True)
class FinishedFold:
    """A fold whose folder holds its results.

    Attributes:
        name: of the fold.
        folder: with metrics.json and, where it was tested, predictions.csv.
        tests: tables of its test faces.
        aus: of its network.
    """

    name: str
    folder: Path
    tests: Sequence[FaceTable]
    aus: Sequence[str]


def report_folds(
    context: RunContext,
    finished: Sequence[FinishedFold],
    *,
    unit: str,
    protocol: Mapping[str, str],
    monitor: str,
    tested: bool,
    graded: bool,
    bootstrap: Bootstrap,
    started: float,
) -> float:
    """Write metrics.json, folds.csv, folds_per_au.csv and folds.txt over finished folds, and print the tables.

    Args:
        context: of the command.
        finished: its folds, in order.
        unit: what the name of a fold names.
        protocol: how rows were split and what labels mean; with "legacy", the test faces chose the epoch.
        monitor: metric that chose the checkpoints.
        tested: whether the folds were tested.
        graded: whether their networks give intensities.
        bootstrap: of the intervals of pooled scores.
        started: time.time() at the start.

    Returns:
        The mean of the folds' best values of `monitor`.

    Raises:
        DataError: the record or the predictions of a fold are damaged, or a file cannot be written.
    """
    output = context.output
    records = [read_record(fold.folder) for fold in finished]
    shown = [column.name for column in columns_in(Place.FOLDS) if graded or not column.metric.graded]
    metrics = shown if tested else []
    folds = [_scores(fold, record, metrics) for fold, record in zip(finished, records, strict=True)]
    pooled = _pooled(finished, records, bootstrap) if tested else {}
    overall = {name: _aggregate(name, None, [fold.scores[name] for fold in folds], pooled) for name in folds[0].scores}
    per_au = _per_au(folds, pooled)
    best = float(np.mean([record["monitor"]["best"] for record in records]))
    tables = _tables(folds, overall, per_au, unit=unit, protocol=protocol, resamples=bootstrap.resamples)
    print_lines("")
    print_tables(*tables, saved_to=output / "folds.txt")
    write_table(output / "folds.csv", marked(_folds_frame(folds, overall, unit), protocol))
    if per_au:
        write_table(output / "folds_per_au.csv", marked(_aus_frame(folds, per_au), protocol))
    content = {
        "monitor": {"metric": monitor, "best": best},
        "run": run_record(seed=context.seed, protocol=protocol, data={}, started=started),
        "protocol": protocol,
        "folds": {fold.name: record for fold, record in zip(folds, records, strict=True)},
        "bootstrap": {"resamples": bootstrap.resamples, "seed": bootstrap.seed},
        **summary_rows(overall),
        "per_au": {metric: {au: one.to_dict() for au, one in column.items()} for metric, column in per_au.items()},
    }
    if context.pictures:
        folders = {fold.name: fold.folder for fold in finished}
        print_lines(f"Report: {report_protocol(context, content, tables=tables, folds=folders)}")
    write_json(output / "metrics.json", content)
    mark = " (legacy)" if "legacy" in protocol else ""
    files = "folds.csv, folds_per_au.csv" if per_au else "folds.csv"
    print_lines(f"Mean of the best {monitor}{mark}: {best:.4f}", f"Numbers: {output / 'metrics.json'}, {files}")
    return best


def _scores(fold: FinishedFold, record: Mapping[str, Any], metrics: Sequence[str]) -> FoldScores:
    """Scores of the test faces of all data sets together; of the validation, where nothing was tested."""
    per_au: dict[str, dict[str, float]] = {}
    if metrics:
        evaluation = _evaluation(fold, record)
        summary = evaluation["summary"]
        aus, scores = int(summary["valid_aus"]), {name: _finite(summary.get(name)) for name in metrics}
        per_au = {name: {au: _finite(row.get(name)) for au, row in evaluation["per_au"].items()} for name in metrics}
    else:
        monitor = record["monitor"]
        aus, scores = len(fold.aus), {monitor["metric"]: _finite(monitor["best"])}
    return FoldScores(
        name=fold.name,
        images=sum(map(len, fold.tests)),
        persons=len({str(person) for table in fold.tests for person in table.persons}),
        aus=aus,
        scores=scores,
        per_au=per_au,
    )


def _evaluation(fold: FinishedFold, record: Mapping[str, Any]) -> dict[str, Any]:
    evaluations: dict[str, dict[str, Any]] = record["test"]
    return evaluations[POOLED if POOLED in evaluations else fold.tests[0].name]


def _pooled(
    finished: Sequence[FinishedFold], records: Sequence[Mapping[str, Any]], bootstrap: Bootstrap
) -> _PooledScores:
    """Scores of the predictions of all folds together."""
    rows = [_evaluation(fold, record)["per_au"] for fold, record in zip(finished, records, strict=True)]
    thresholds = [{au: row["threshold_val"] for au, row in own.items()} for own in rows]
    pooled = pool_tests([fold.folder for fold in finished], thresholds)
    return pooled.scores(resamples=bootstrap.resamples, seed=bootstrap.seed)


def _aggregate(metric: str, au: str | None, values: Sequence[float], pooled: _PooledScores) -> Aggregate:
    value, low, high = pooled.get(metric, {}).get(au, Pooled(np.nan, np.nan, np.nan))
    return Aggregate(values=tuple(values), pooled=value, low=low, high=high)


def _per_au(folds: Sequence[FoldScores], pooled: _PooledScores) -> dict[str, dict[str, Aggregate]]:
    """Metric -> AU -> its values over folds."""
    return {
        metric: {
            au: _aggregate(metric, au, [fold.per_au[metric].get(au, np.nan) for fold in folds], pooled)
            for au in sorted({au for fold in folds for au in fold.per_au[metric]}, key=sort_key)
        }
        for metric in folds[0].per_au
    }


def _tables(
    folds: Sequence[FoldScores],
    overall: Mapping[str, Aggregate],
    per_au: Mapping[str, Mapping[str, Aggregate]],
    *,
    unit: str,
    protocol: Mapping[str, str],
    resamples: int,
) -> list[Table]:
    """One row per fold; below it one row per AU, of F1 and, where intensities were learned, ICC."""
    title = f"{'Legacy test' if 'legacy' in protocol else 'Test'} by {unit}"
    caption = "; ".join(f"{key}: {text}" for key, text in protocol.items())
    spread = f"mean and sample standard deviation over {unit}s; each score is a mean over the AUs of its row"
    pooled = f"pooled: all predictions together; 95 % interval from {resamples} resamples of the tested persons"
    tables = [folds_table(folds, overall, title=title, unit=unit, caption=f"{caption}\n{spread}\n{pooled}")]
    names, note = [fold.name for fold in folds], f"folds: those in which the AU has a score\n{pooled}"
    f1 = "f1_0.5" if "legacy" in protocol else "f1_val"
    for metric in [name for name in (f1, "icc") if name in per_au]:
        tables.append(aus_table(per_au[metric], overall[metric], metric=metric, folds=names, caption=note))
    return tables


def _folds_frame(folds: Sequence[FoldScores], overall: Mapping[str, Aggregate], unit: str) -> pd.DataFrame:
    column = unit.replace(" ", "")
    rows: list[dict[str, Any]] = [
        {column: fold.name, "images": fold.images, "persons": fold.persons, "aus": fold.aus, **fold.scores}
        for fold in folds
    ]
    rows += [{column: label, **scores} for label, scores in summary_rows(overall).items()]
    return pd.DataFrame(rows).astype(dict.fromkeys(("images", "persons", "aus"), "Int64"))


def _aus_frame(folds: Sequence[FoldScores], per_au: Mapping[str, Mapping[str, Aggregate]]) -> pd.DataFrame:
    names = [fold.name for fold in folds]
    rows = [
        {"metric": metric, "au": au, "description": description(au)}
        | {**dict(zip(names, aggregate.values, strict=True)), **aggregate.to_dict()}
        for metric, column in per_au.items()
        for au, aggregate in column.items()
    ]
    return pd.DataFrame(rows)


def _finite(score: float | None) -> float:
    """Read a number of JSON, where null is undefined."""
    return np.nan if score is None else float(score)
