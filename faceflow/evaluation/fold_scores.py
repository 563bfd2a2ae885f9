"""The scores of all folds side by side, with mean, deviation, and pooled value with its interval."""

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
from faceflow.evaluation.audit import GroupAudit, audit_folds
from faceflow.evaluation.audit_report import groups_finding
from faceflow.evaluation.centred import CENTRED, OVER_FOLDS
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.pooled import Pooled, PooledTest, pool_tests, pooled_guesses
from faceflow.evaluation.record import read_record, run_record
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_protocol
from faceflow.metrics.aggregate import Aggregate
from faceflow.metrics.audited import Audit
from faceflow.metrics.guesses import GUESSES, MEANING
from faceflow.metrics.metric import Place, columns_in, header_of
from faceflow.report.fold_tables import FoldScores, aus_table, folds_table, summary_rows
from faceflow.report.result_files import by_model, marked, write_json, write_table

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
    audit: Audit | None,
    started: float,
) -> float:
    """Write metrics.json, folds.csv, folds_per_au.csv and folds.txt over finished folds, and print the tables.

    Args:
        context: of the command.
        finished: its folds, in order.
        unit: what the name of a fold stands for, such as fold or domain.
        protocol: how rows were split and what labels mean; with "legacy", the epoch was chosen on the test faces.
        monitor: metric that chose the checkpoints.
        tested: whether the folds were tested.
        graded: whether their networks give intensities.
        bootstrap: of the intervals of pooled scores.
        audit: columns whose groups are scored on the predictions of all folds; None for none.
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
    found = {"tested": _sum_up(finished, records, metrics, bootstrap)}
    if tested and all(CENTRED in record for record in records):
        centred = [record | {"test": record[CENTRED]["test"]} for record in records]
        found[CENTRED] = _sum_up(finished, centred, metrics, bootstrap, centred=True)
    best = float(np.mean([record["monitor"]["best"] for record in records]))
    tables = [
        table
        for name, each in found.items()
        for table in _tables(each, centred=name == CENTRED, unit=unit, protocol=protocol, resamples=bootstrap.resamples)
    ]
    findings: list[Finding] = []
    if tested and audit is not None:
        groups = _audited(finished, records, audit, bootstrap)
        findings.append(groups_finding(groups, title="test faces of all folds", protocol=protocol))
    for finding in findings:
        finding.write(output, protocol)
        tables += finding.tables
    print_lines("")
    print_tables(*tables, saved_to=output / "folds.txt")
    frames = {name: _folds_frame(each, unit) for name, each in found.items()}
    write_table(output / "folds.csv", marked(by_model(frames), protocol))
    if tested:
        frames = {name: _aus_frame(each) for name, each in found.items()}
        write_table(output / "folds_per_au.csv", marked(by_model(frames), protocol))
    content = {
        "monitor": {"metric": monitor, "best": best},
        "run": run_record(seed=context.seed, protocol=protocol, data={}, started=started),
        "protocol": protocol,
        "folds": {fold.name: record for fold, record in zip(finished, records, strict=True)},
        "bootstrap": {"resamples": bootstrap.resamples, "seed": bootstrap.seed},
        **found["tested"].to_dict(),
        **({CENTRED: found[CENTRED].to_dict()} if CENTRED in found else {}),
        **{finding.entry: finding.content for finding in findings},
    }
    if context.pictures:
        folders = {fold.name: fold.folder for fold in finished}
        pictures = [picture for finding in findings for picture in finding.draw_all(output)]
        page = report_protocol(context, content, tables=tables, folds=folders, pictures=pictures)
        print_lines(f"Report: {page}")
    write_json(output / "metrics.json", content)
    mark = " (legacy)" if "legacy" in protocol else ""
    files = ["folds.csv", *(["folds_per_au.csv"] if tested else []), *(finding.file for finding in findings)]
    print_lines(
        f"Mean of the best {monitor}{mark}: {best:.4f}", f"Numbers: {output / 'metrics.json'}, {', '.join(files)}"
    )
    return best


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """Scores of the folds: metric -> means over AUs, and metric -> AU -> scores of the AU."""

    folds: Sequence[FoldScores]
    overall: Mapping[str, Aggregate]
    per_au: Mapping[str, Mapping[str, Aggregate]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        per_au = {metric: {au: one.to_dict() for au, one in column.items()} for metric, column in self.per_au.items()}
        return {**summary_rows(self.overall), "per_au": per_au}


def _sum_up(
    finished: Sequence[FinishedFold],
    records: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    bootstrap: Bootstrap,
    *,
    centred: bool = False,
) -> _Summary:
    """Summarise the tests of `records`, or without `metrics` their validations."""
    folds = [_scores(fold, record, metrics) for fold, record in zip(finished, records, strict=True)]
    pooled = _pooled(finished, records, bootstrap, centred=centred) if metrics else {}
    overall = {name: _aggregate(name, None, [fold.scores[name] for fold in folds], pooled) for name in folds[0].scores}
    return _Summary(folds=folds, overall=overall, per_au=_per_au(folds, pooled))


def _scores(fold: FinishedFold, record: Mapping[str, Any], metrics: Sequence[str]) -> FoldScores:
    """Scores of the test faces of all data sets together, or of the validation if nothing was tested."""
    per_au: dict[str, dict[str, float]] = {}
    if metrics:
        evaluation = _evaluation(fold, record)
        summary = evaluation["summary"]
        aus, scores = int(summary["valid_aus"]), {name: _finite(summary.get(name)) for name in metrics}
        per_au = {name: {au: _finite(row.get(name)) for au, row in evaluation["per_au"].items()} for name in metrics}
        for name, guessed in pooled_guesses([evaluation["per_au"]]).items():
            per_au[name] = {au: found.value for au, found in guessed.items() if au}
            scores[name] = guessed[None].value
    else:
        monitor = record["monitor"]
        aus, scores = len(fold.aus), {monitor["metric"]: _finite(monitor["best"])}
    return FoldScores(
        name=fold.name,
        images=sum(map(len, fold.tests)),
        subjects=len({str(subject) for table in fold.tests for subject in table.subjects}),
        aus=aus,
        scores=scores,
        per_au=per_au,
    )


def _evaluation(fold: FinishedFold, record: Mapping[str, Any]) -> dict[str, Any]:
    evaluations: dict[str, dict[str, Any]] = record["test"]
    return evaluations[POOLED if POOLED in evaluations else fold.tests[0].name]


def _pooled(
    finished: Sequence[FinishedFold], records: Sequence[Mapping[str, Any]], bootstrap: Bootstrap, *, centred: bool
) -> _PooledScores:
    """Scores of the predictions of all folds together."""
    pooled = _pooled_test(finished, records, centred=centred)
    rows = [_evaluation(fold, record)["per_au"] for fold, record in zip(finished, records, strict=True)]
    return pooled.scores(resamples=bootstrap.resamples, seed=bootstrap.seed) | pooled_guesses(rows)


def _pooled_test(
    finished: Sequence[FinishedFold], records: Sequence[Mapping[str, Any]], *, centred: bool = False
) -> PooledTest:
    rows = [_evaluation(fold, record)["per_au"] for fold, record in zip(finished, records, strict=True)]
    thresholds = [{au: row["threshold_val"] for au, row in own.items()} for own in rows]
    return pool_tests([fold.folder for fold in finished], thresholds, centred=centred)


def _audited(
    finished: Sequence[FinishedFold], records: Sequence[Mapping[str, Any]], audit: Audit, bootstrap: Bootstrap
) -> GroupAudit:
    tables = [table for fold in finished for table in fold.tests]
    return audit_folds(audit, _pooled_test(finished, records), tables, bootstrap)


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


def _tables(found: _Summary, *, centred: bool, unit: str, protocol: Mapping[str, str], resamples: int) -> list[Table]:
    """A table with a row per fold; then one with a row per AU for F1 and, if intensities were learned, for ICC."""
    folds, overall, per_au = found.folds, found.overall, found.per_au
    title = f"{'Legacy test' if 'legacy' in protocol else 'Test'} by {unit}"
    how = f", {CENTRED} by subject" if centred else ""
    said = {**protocol, CENTRED: OVER_FOLDS} if centred else protocol
    caption = "; ".join(f"{key}: {text}" for key, text in said.items())
    spread = f"mean and sample standard deviation over {unit}s; each score is a mean over the AUs of its row"
    pooled = f"pooled: all predictions together; 95 % interval from {resamples} resamples of the tested subjects"
    meaning = [MEANING] if per_au else []
    below = "\n".join([*meaning, caption, spread, pooled])
    tables = [folds_table(folds, overall, title=title + how, unit=unit, caption=below)]
    names, note = [fold.name for fold in folds], f"folds: those in which the AU has a score\n{pooled}"
    f1 = "f1_0.5" if "legacy" in protocol else "f1_val"
    for metric in [name for name in (f1, "icc") if name in per_au]:
        title = f"{header_of(metric)} by AU{how}"
        guesses = {
            name: {**{au: one.pooled for au, one in per_au[name].items()}, None: overall[name].pooled}
            for name in GUESSES
            if metric == f1
        }
        below = f"{MEANING}; over all folds together\n{note}" if guesses else note
        tables.append(
            aus_table(per_au[metric], overall[metric], title=title, folds=names, caption=below, guesses=guesses)
        )
    return tables


def _folds_frame(found: _Summary, unit: str) -> pd.DataFrame:
    column = unit.replace(" ", "")
    rows: list[dict[str, Any]] = [
        {column: fold.name, "images": fold.images, "subjects": fold.subjects, "aus": fold.aus, **fold.scores}
        for fold in found.folds
    ]
    rows += [{column: label, **scores} for label, scores in summary_rows(found.overall).items()]
    return pd.DataFrame(rows).astype(dict.fromkeys(("images", "subjects", "aus"), "Int64"))


def _aus_frame(found: _Summary) -> pd.DataFrame:
    names = [fold.name for fold in found.folds]
    rows = [
        {"metric": metric, "au": au, "description": description(au)}
        | {**dict(zip(names, aggregate.values, strict=True)), **aggregate.to_dict()}
        for metric, column in found.per_au.items()
        for au, aggregate in column.items()
    ]
    return pd.DataFrame(rows)


def _finite(score: float | None) -> float:
    """Read a number of JSON, where null is undefined."""
    return np.nan if score is None else float(score)
