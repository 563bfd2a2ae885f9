"""Rounds of ours and of a reference as one table of ratios, and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from faceflow.evaluation.record import git_revision, versions
from faceflow.report.result_files import write_json


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rates of a case in each round; `per` divides ours, for example by the number of workers."""

    case: str
    ours: Sequence[float]
    reference: Sequence[float]
    per: int = 1
    details: Mapping[str, str] = field(default_factory=dict)  # further columns
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)  # further values of each round

    @property
    def ratios(self) -> list[float]:
        """Ours / reference of every round."""
        return [ours / (self.per * bare) for ours, bare in zip(self.ours, self.reference, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All cases of a subcommand; `unit` is the unit of the rates."""

    title: str
    unit: str
    comparisons: Sequence[Comparison]
    notes: Sequence[str] = ()


def announced(workers: Sequence[int]) -> Iterator[int]:
    """Report the current number of workers on stderr."""
    for number in workers:
        print(f"measuring with {number} workers", file=sys.stderr, flush=True)
        yield number


def cores() -> int:
    """Number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def show(report: Report) -> None:
    """Print the table."""
    rounds = len(report.comparisons[0].ours)
    conditions = f"median (lowest-highest) of {rounds} rounds; {device()}, {cores()} cores, load {load():.1f}"
    table = Table(
        title=report.title,
        caption="\n".join((conditions, *report.notes)),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("case")
    details = list(report.comparisons[0].details)
    for header in (f"ours, {report.unit}", f"reference, {report.unit}", "ratio", *details):
        table.add_column(header, justify="right", no_wrap=True)
    for row in report.comparisons:
        figures = (_spread(row.ours, ".0f"), _spread(row.reference, ".0f"), _spread(row.ratios, ".2f"))
        table.add_row(row.case, *figures, *(row.details[name] for name in details))
    console = Console()
    console.width = max(console.width, 120)
    console.print(table)


def write(report: Report, path: Path, *, settings: Mapping[str, Any]) -> None:
    """Write every round, the settings and the machine as JSON."""
    rows = [
        asdict(row) | {"ratio": row.ratios, "median_ratio": median(row.ratios), "series": dict(row.series)}
        for row in report.comparisons
    ]
    machine = {"device": device(), "cores": cores(), "load": load(), "platform": platform.platform()}
    content = {"title": report.title, "unit": report.unit, "rows": rows, "settings": settings}
    write_json(
        path, content | {"notes": report.notes, "machine": machine, "git": git_revision(), "versions": versions()}
    )


def device() -> str:
    """Name of the accelerator, or of the CPU's architecture."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}"


def load() -> float:
    """Load average of the last minute, including this process."""
    return os.getloadavg()[0]


def ratio_note(what: str, ours: Sequence[float], reference: Sequence[float]) -> str:
    """A line about an additional measurement."""
    ratios = [one / other for one, other in zip(ours, reference, strict=True)]
    return f"{what}: {_spread(ours, '.0f')} / {_spread(reference, '.0f')}, ratio {_spread(ratios, '.2f')}"


def _spread(values: Sequence[float], style: str) -> str:
    return f"{median(values):{style}} ({min(values):{style}}-{max(values):{style}})"
