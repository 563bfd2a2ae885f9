"""Tables for the terminal: what is in the data, and how well each AU is estimated."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from faceflow.aus import description
from faceflow.files import whole_file
from faceflow.metrics.evaluation import Evaluation

_FILE_WIDTH = 110
_UNLABELED = "unlabeled"  # split whose labels, if any, training does not see
_WARNING = "bold red"
_OCCURRENCE = {
    "F1@val": "f1_val",
    "F1@0.5": "f1_0.5",
    "Prec@val": "precision_val",
    "Rec@val": "recall_val",
    "AP": "ap",
    "AUROC": "auroc",
    "EER": "eer",
}
_INTENSITY = {
    "F1@val": "f1_val",
    "F1@0.5": "f1_0.5",
    "AP": "ap",
    "AUROC": "auroc",
    "ICC": "icc",
    "PCC": "pcc",
    "MSE": "mse",
    "MAE": "mae",
}
HEADERS = {name: header for header, name in (_OCCURRENCE | _INTENSITY).items()}


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What one data set gives to one split.

    `persons` means nothing unless `subjects_known`; `labels` says what a label means; `valid` counts the observed
    labels of each AU and `positives` the occurrences among them.
    """

    split: str
    dataset: str
    images: int
    persons: int
    subjects_known: bool
    labels: str
    duplicates: int
    skipped: int
    valid: Mapping[str, int]
    positives: Mapping[str, int]


def data_tables(summaries: Sequence[SplitSummary], aus: Sequence[str]) -> list[Table]:
    """Describe the data: a table of splits and data sets, and one of label counts and base rates per AU."""
    labelled = [summary for summary in summaries if summary.split != _UNLABELED]
    return [_sources_table(summaries), _labels_table(labelled, aus)]


def results_table(evaluation: Evaluation, *, title: str, protocol: Mapping[str, str]) -> Table:
    """Show one row of metrics per AU and their means over AUs; `protocol` becomes the caption."""
    shown = _INTENSITY if "icc" in evaluation.columns else _OCCURRENCE
    valid = int(evaluation.summary["valid_aus"])
    table = _table(title, _results_caption(evaluation, shown, valid, protocol))
    _add_columns(table, ["AU", "description"], "left")
    _add_columns(table, ["pos/labels", "thr", *shown], "right")
    for index, au in enumerate(evaluation.aus):
        column = {name: values[index] for name, values in evaluation.columns.items()}
        add_row(
            table,
            [
                au,
                description(au),
                f"{int(column['positives'])}/{int(column['observed'])}",
                number(column["threshold_val"], 2),
                *(number(column[name]) for name in shown.values()),
            ],
            style="" if np.isfinite(column["auroc"]) else "dim",
        )
    table.add_section()
    means = [number(evaluation.summary[name]) for name in shown.values()]
    add_row(table, ["mean", f"of {valid} of {len(evaluation.aus)} AUs", "", "", *means], style="bold")
    return table


def plain_table(title: str, texts: Sequence[str], numbers: Sequence[str], *, caption: str = "") -> Table:
    """Empty table in the common style; columns of texts are on the left, those of numbers on the right."""
    table = _table(title, caption)
    _add_columns(table, texts, "left")
    _add_columns(table, numbers, "right")
    return table


def add_row(table: Table, cells: Sequence[str], style: str = "") -> None:
    """Add cells as they are; rich would read brackets in them as markup."""
    table.add_row(*map(Text, cells), style=style)


def number(value: float, digits: int = 3) -> str:
    """Format a number of a cell; undefined is a dash, and what rounds to zero has no sign."""
    return f"{value:z.{digits}f}" if np.isfinite(value) else "-"


def show(*tables: Table, saved_to: Path | None = None) -> None:
    """Print tables to stdout and, if asked, write the same as plain text.

    Raises:
        DataError: the file cannot be written.
    """
    console = Console()
    narrowest, widest = _widths(tables)
    # Numbers are never cut: a terminal too narrow for them breaks the lines itself.
    console.width = max(console.width, narrowest) if console.is_terminal else max(_FILE_WIDTH, widest)
    _print(console, tables)
    if saved_to is not None:
        save(*tables, path=saved_to)


def save(*tables: Table, path: Path) -> None:
    """Write tables as plain text.

    Raises:
        DataError: the file cannot be written.
    """
    _, widest = _widths(tables)
    plain = Console(file=io.StringIO(), width=max(_FILE_WIDTH, widest), color_system=None, force_terminal=False)
    with plain.capture() as capture:
        _print(plain, tables)
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def say(*lines: str) -> None:
    """Print lines to stdout as they are, for results that are no table."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _print(console: Console, tables: Sequence[Table]) -> None:
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(table)


def _sources_table(summaries: Sequence[SplitSummary]) -> Table:
    unknown = any(not summary.subjects_known for summary in summaries)
    table = _table("Data", "? = no subject column: every image counts as a person of its own" if unknown else "")
    _add_columns(table, ["split", "data set"], "left")
    _add_columns(table, ["images", "persons", "broken,\nskipped", "duplicates,\ndropped"], "right")
    _add_columns(table, ["labels"], "left")
    for summary in summaries:
        cells = [
            summary.split,
            summary.dataset,
            str(summary.images),
            str(summary.persons) if summary.subjects_known else "?",
            str(summary.skipped),
            str(summary.duplicates),
            summary.labels,
        ]
        add_row(table, cells)
    return table


def _labels_table(summaries: Sequence[SplitSummary], aus: Sequence[str]) -> Table:
    splits = list(dict.fromkeys(summary.split for summary in summaries))
    counts = {
        (au, split): (
            sum(summary.valid.get(au, 0) for summary in summaries if summary.split == split),
            sum(summary.positives.get(au, 0) for summary in summaries if summary.split == split),
        )
        for au in aus
        for split in splits
    }
    flagged = any(positives == 0 for _, positives in counts.values())
    table = _table("Labels per AU", "! = no label, or none that is positive" if flagged else "")
    _add_columns(table, ["AU", "description"], "left")
    _add_columns(table, [f"{split}\n{what}" for split in splits for what in ("labels", "base rate")], "right")
    for au in aus:
        cells = [Text(au), Text(description(au))]
        for split in splits:
            valid, positives = counts[au, split]
            cells += [
                Text(str(valid)) if valid else Text("! 0", _WARNING),
                Text(_percent(positives / valid)) if positives else Text("! 0.0 %" if valid else "-", _WARNING),
            ]
        table.add_row(*cells)
    return table


def _results_caption(evaluation: Evaluation, shown: Mapping[str, str], valid: int, protocol: Mapping[str, str]) -> str:
    parts = ["; ".join(f"{key}: {text}" for key, text in protocol.items())]
    counts = {header: int(np.isfinite(evaluation.columns[name]).sum()) for header, name in shown.items()}
    if other := [f"{header} {count}" for header, count in counts.items() if count != valid]:
        parts.append(f"AUs in the mean, where other than {valid}: {', '.join(other)}")
    bounds = {
        header: [evaluation.summary.get(f"{name}_{b}", np.nan) for b in ("low", "high")]
        for header, name in shown.items()
    }
    if known := [f"{header} {number(low)} to {number(high)}" for header, (low, high) in bounds.items() if low <= high]:
        parts.append(f"95 % intervals of the means, over persons: {', '.join(known)}")
    return "\n".join(filter(None, parts))


def _table(title: str, caption: str) -> Table:
    # Texts, not strings: rich would read brackets in names of data sets as markup.
    return Table(
        title=Text(title, "bold"),
        caption=Text(caption, "dim") if caption else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
        pad_edge=False,
    )


def _add_columns(table: Table, headers: Sequence[str], justify: Literal["left", "right"]) -> None:
    for header in headers:
        wraps = header in ("description", "labels", "data set")
        table.add_column(Text(header), justify=justify, no_wrap=not wraps, overflow="fold")


def _widths(tables: Sequence[Table]) -> tuple[int, int]:
    """Least width that cuts no number, and the width at which nothing wraps."""
    roomy = Console(file=io.StringIO(), width=10_000)
    sizes = [Measurement.get(roomy, roomy.options, table) for table in tables]
    return max((size.minimum for size in sizes), default=1), max((size.maximum for size in sizes), default=1)


def _percent(fraction: float) -> str:
    """Format a fraction above 0 so that it never reads as none."""
    return "<0.1 %" if fraction < 0.0005 else f"{100 * fraction:.1f} %"
