"""One table and one picture over all jobs of a sweep."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd
from rich.table import Table

from faceflow.console import add_row, number, plain_table, print_lines, print_tables
from faceflow.errors import ConfigError, suggest
from faceflow.files import whole_file
from faceflow.metrics.guesses import GUESSES, MEANING
from faceflow.metrics.metric import column_named
from faceflow.report.figure_page import save
from faceflow.report.heat_map import heat_map
from faceflow.report.result_files import write_table
from faceflow.report.slices import draw_slices
from faceflow.sweep.job import FINISHED, Job
from faceflow.sweep.job_results import (
    COSTS,
    LEGACY,
    SEED,
    aggregate,
    differing_updates,
    read_sweep,
    sweep_frame,
    varied_keys,
)
from faceflow.sweep.plan import planned_jobs

_BEST = "best"  # value of `monitor`
_CELLS = 12  # in one row
_DPI = 130
_COSTS = ("updates", "seconds", "images/s", "parameters")
_NOT_SCORES = {"job", "folder", "status", *COSTS, *GUESSES, "monitor", "protocol", "error"}


def summarize_sweep(folder: Path, *, metric: str | None) -> list[Job]:
    """Write sweep.csv, sweep.md and sweep.png into the folder of a sweep, and print its tables.

    Args:
        folder: of the sweep.
        metric: to compare by; None for the test score of the monitored metric, or its best validation score if nothing
            was tested.

    Returns:
        Records of all jobs.

    Raises:
        ConfigError, DataError: there is no such metric, the folder holds no sweep, or it cannot be written.
    """
    found = read_sweep(folder)
    jobs = [job for _, job in found]
    frame, keys = sweep_frame(found), varied_keys(jobs)
    write_table(folder / "sweep.csv", frame)
    metric = _metric(frame, keys, metric)
    fixed = _fixed(jobs, keys)
    compared = column_named(metric)
    f1 = compared is not None and compared.metric.name == "f1"
    guesses = [name for name in GUESSES if f1 and name in frame]
    tables = [_jobs_table(frame, keys, metric, guesses)]
    finished = [job for job in jobs if job.status == FINISHED]
    scored = bool(frame[metric].notna().any())  # data reports and previews have no score
    if scored:
        means = aggregate(frame, keys, metric)
        tables.append(_means_table(means, keys, _named(frame, metric), fixed, guesses))
        choices = [key for key in keys if key != SEED]
        if _is_grid(means, choices):
            heat_map(folder / "sweep.png", means, keys=choices, metric=_named(frame, metric), caption=fixed)
        else:  # a search: shown by the score that it optimised, which is never that of the test
            led = aggregate(frame, keys, _BEST)
            error = _led_by_an_error(frame)
            figure = draw_slices(led, keys=choices, metric=_named(frame, _BEST), lower_is_better=error, caption=fixed)
            save(figure, folder / "sweep.png", dpi=_DPI)
    print_tables(*tables)
    unequal = differing_updates(frame)
    text = [*map(_markdown, tables), *([f"{unequal}\n"] if unequal else [])]
    with whole_file(folder / "sweep.md") as partial:
        partial.write_text("\n".join(text), encoding="utf-8")
    written = "sweep.csv, sweep.md" + (", sweep.png" if scored else "")
    planned = max(len(jobs), planned_jobs(folder))
    print_lines(f"{len(finished)} of {planned} jobs finished. Results: {folder}: {written}")
    if unequal:
        print_lines(unequal)
    for job in jobs:
        if job.status != FINISHED:
            name = f"Job {job.number} ({job.described(keys)})" if keys else f"Job {job.number}"
            print_lines(f"{name} {job.status}: {job.error or 'no result'}")
    if waiting := planned - len(jobs):
        print_lines(
            f"{waiting} not started; run the jobs without a result: faceflow-train {quote(f'resume_sweep={folder}')}"
        )
    return jobs


def _is_grid(means: pd.DataFrame, keys: list[str]) -> bool:
    """Whether most combinations of the values were tried, so that a heat map has few empty cells."""
    cells = math.prod(means[key].nunique() for key in keys)
    return cells <= _CELLS if len(keys) < 2 else 2 * len(means) > cells


def _metric(frame: pd.DataFrame, keys: list[str], asked: str | None) -> str:
    scores = [str(column) for column in frame.columns if column not in _NOT_SCORES and column not in keys]
    if asked is not None:
        if asked not in scores:
            raise ConfigError(f"metric: expected one of the sweep's scores, got '{asked}'; {suggest(asked, scores)}")
        return asked
    monitored = frame["monitor"].dropna()
    named = str(monitored.iloc[0]).removeprefix("val/") if len(monitored) else ""
    return named if named in scores else _BEST


def _named(frame: pd.DataFrame, metric: str) -> str:
    monitored = frame["monitor"].dropna()
    led = monitored.iloc[0] if len(monitored) else "of monitor"  # without a test, jobs do not record its name
    name = f"best {led}" if metric == _BEST else f"test {metric}"
    return f"{LEGACY} {name}" if "protocol" in frame else name


def _led_by_an_error(frame: pd.DataFrame) -> bool:
    """Whether the monitored metric is better when lower."""
    monitored = frame["monitor"].dropna()
    column = column_named(str(monitored.iloc[0]).rpartition("/")[2]) if len(monitored) else None
    return column is not None and column.metric.lower_is_better


def _fixed(jobs: list[Job], keys: list[str]) -> str:
    settings = jobs[0].settings
    return " ".join(f"{key}={value}" for key, value in settings.items() if key not in keys)


def _jobs_table(frame: pd.DataFrame, keys: list[str], metric: str, guesses: list[str]) -> Table:
    shown = [*dict.fromkeys((_BEST, metric)), *guesses]
    headers = [GUESSES.get(name, name) for name in shown]
    caption = f"{MEANING}; of the tested faces" if guesses else ""
    table = plain_table("Jobs", ["job", *keys, "status"], [*headers, *_COSTS], caption=caption)
    for row in frame.to_dict("records"):
        values = [str(row["job"]), *("-" if pd.isna(row[key]) else str(row[key]) for key in keys), str(row["status"])]
        add_row(table, [*values, *(_score(row[name]) for name in shown), *_costs(row)])
    return table


def _means_table(means: pd.DataFrame, keys: list[str], metric: str, fixed: str, guesses: list[str]) -> Table:
    columns = [key for key in keys if key != SEED]
    caption = "mean and sample standard deviation over the jobs that differ in their seed alone"
    caption = f"{caption}; all jobs: {fixed}" if fixed else caption
    headers = ["mean", "std", *(GUESSES[name] for name in guesses), "jobs", *_COSTS]
    table = plain_table(metric, columns or ["jobs alike"], headers, caption=caption)
    for row in means.to_dict("records"):
        names = [str(row[key]) for key in columns] or ["all"]
        scores = [_score(row[name]) for name in ("mean", "std", *guesses)]
        add_row(table, [*names, *scores, str(row["jobs"]), *_costs(row)])
    return table


def _costs(row: Mapping[Hashable, Any]) -> list[str]:
    size = "-" if pd.isna(row["parameters"]) else f"{row['parameters'] / 1e6:.2f} M"
    return [*(number(row[cost], 0) for cost in ("updates", "seconds", "images_per_second")), size]


def _score(value: float | None) -> str:
    return "-" if value is None else number(float(value))


def _markdown(table: Table) -> str:
    """Write a table in Markdown; bars in cells are escaped."""
    header = [str(column.header) for column in table.columns]
    cells = [[str(cell).replace("|", r"\|") for cell in column.cells] for column in table.columns]
    rows = list(zip(*cells, strict=True))
    lines = [f"## {table.title}", "", *(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])]
    return "\n".join([*lines, "", *([str(table.caption), ""] if table.caption else [])])
