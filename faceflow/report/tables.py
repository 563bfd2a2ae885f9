"""Tables for the terminal: what is in the data, and how well each AU is estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text

from faceflow.aus import description
from faceflow.console import add_columns, add_row, new_table, number
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.guesses import GUESSES, MEANING, guessed_f1
from faceflow.metrics.metric import Place, columns_in
from faceflow.metrics.occurrence import macro
from faceflow.metrics.paired import paired_means

_UNLABELED = "unlabeled"  # split whose labels, if any, training does not see
_WARNING = "bold red"


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What one data set contributes to one split.

    `subjects` has a meaning only if `subjects_known`; `labels` says what a label means; `valid` counts the observed
    labels of each AU, `positives` the occurrences among them; `notes` list the assumptions made in reading them.
    """

    split: str
    dataset: str
    images: int
    subjects: int
    subjects_known: bool
    labels: str
    duplicates: int
    skipped: int
    valid: Mapping[str, int]
    positives: Mapping[str, int]
    notes: tuple[str, ...] = ()


def data_tables(summaries: Sequence[SplitSummary], aus: Sequence[str]) -> list[Table]:
    """Describe the data: a table of splits and data sets, and one of label counts and base rates per AU."""
    labelled = [summary for summary in summaries if summary.split != _UNLABELED]
    return [_sources_table(summaries), _labels_table(labelled, aus)]


def results_table(
    evaluation: Evaluation,
    *,
    title: str,
    protocol: Mapping[str, str],
    beside: Mapping[str, Evaluation] | None = None,
    note: str = "",
) -> Table:
    """Show one row of metrics per AU and their means over AUs.

    Args:
        evaluation: of the model.
        title: of the table.
        protocol: becomes the caption.
        beside: other scores on the same faces by name; their rows are below those of the model.
        note: last line of the caption.
    """
    others = beside or {}
    place = Place.INTENSITY_TABLE if "icc" in evaluation.columns else Place.OCCURRENCE_TABLE
    shown = {column.header: column.name for column in columns_in(place)}
    valid = int(evaluation.summary["valid_aus"])
    caption = _results_caption(evaluation, shown, valid, protocol)
    for name, other in others.items():
        if bounds := _intervals(other, shown):
            caption += f"\n95 % intervals for {name}: {bounds}"
    caption += f"\n{note}" if note else ""
    table = new_table(title, caption)
    add_columns(table, ["AU", "description"], "left")
    add_columns(table, ["pos/labels", "thr", *GUESSES.values(), *shown], "right")
    guesses = guessed_f1(evaluation.columns["positives"], evaluation.columns["observed"])
    for index, au in enumerate(evaluation.aus):
        column = {name: values[index] for name, values in evaluation.columns.items()}
        add_row(
            table,
            [
                au,
                description(au),
                f"{int(column['positives'])}/{int(column['observed'])}",
                number(column["threshold_val"], 2),
                *(number(guess[index]) for guess in guesses),
                *(number(column[name]) for name in shown.values()),
            ],
            style="" if np.isfinite(column["auroc"]) else "dim",
        )
        for name, other in others.items():
            if au in other.aus:
                add_row(table, _other_row(name, other, au, list(shown.values())))
    table.add_section()
    means = [number(evaluation.summary[name]) for name in shown.values()]
    guessed = [number(macro(guess)) for guess in guesses]
    add_row(table, ["mean", f"of {valid} of {len(evaluation.aus)} AUs", "", "", *guessed, *means], style="bold")
    for name, other in others.items():
        for cells in _other_means(evaluation, name, other, list(shown.values())):
            add_row(table, cells, style="bold")
    return table


def _other_row(name: str, evaluation: Evaluation, au: str, metrics: Sequence[str]) -> list[str]:
    column = {metric: values[evaluation.aus.index(au)] for metric, values in evaluation.columns.items()}
    return [
        *("", name, ""),
        number(column["threshold_val"], 2),
        *("", ""),  # guessing scores the same
        *(number(column.get(key, np.nan)) for key in metrics),
    ]


def _other_means(evaluation: Evaluation, name: str, other: Evaluation, metrics: Sequence[str]) -> Iterator[list[str]]:
    """Means of other scores; if they cover other AUs, also the means of both over the AUs that both have."""
    valid = int(other.summary["valid_aus"])
    means = [number(other.summary.get(metric, np.nan)) for metric in metrics]
    yield ["", f"{name}, of {valid} of {len(other.aus)} AUs", *[""] * 4, *means]
    pairs = paired_means(evaluation, other)
    both = [pairs.get(metric) for metric in metrics]
    alike = all(
        pair is None or not pair.aus or len(pair.aus) == int(np.isfinite(each.columns[metric]).sum())
        for metric, pair in zip(metrics, both, strict=True)
        for each in (evaluation, other)
    )
    if not alike:
        count = f"{len(pairs['auroc'].aus)} AUs that both have"
        yield ["mean", f"of the {count}", *[""] * 4, *(number(pair.first) if pair else "-" for pair in both)]
        yield ["", f"{name}, of the {count}", *[""] * 4, *(number(pair.second) if pair else "-" for pair in both)]


def _sources_table(summaries: Sequence[SplitSummary]) -> Table:
    unknown = any(not summary.subjects_known for summary in summaries)
    notes = {f"{summary.dataset}: {note}" for summary in summaries for note in summary.notes}
    lines = ["? = no subject column: every image counts as a subject of its own"] if unknown else []
    table = new_table("Data", "\n".join([*lines, *sorted(notes)]))
    add_columns(table, ["split", "data set"], "left")
    add_columns(table, ["images", "subjects", "broken,\nskipped", "duplicates,\ndropped"], "right")
    add_columns(table, ["labels"], "left")
    for summary in summaries:
        cells = [
            summary.split,
            summary.dataset,
            str(summary.images),
            str(summary.subjects) if summary.subjects_known else "?",
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
    table = new_table("Labels per AU", "! = no labels, or no positive ones" if flagged else "")
    add_columns(table, ["AU", "description"], "left")
    add_columns(table, [f"{split}\n{what}" for split in splits for what in ("labels", "base rate")], "right")
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
    parts = [MEANING, "; ".join(f"{key}: {text}" for key, text in protocol.items())]
    counts = {header: int(np.isfinite(evaluation.columns[name]).sum()) for header, name in shown.items()}
    if other := [f"{header} {count}" for header, count in counts.items() if count != valid]:
        parts.append(f"AUs in the mean, where not {valid}: {', '.join(other)}")
    if bounds := _intervals(evaluation, shown):
        parts.append(f"95 % intervals of the means, over subjects: {bounds}")
    return "\n".join(filter(None, parts))


def _intervals(evaluation: Evaluation, shown: Mapping[str, str]) -> str:
    """Intervals of the means by header, as text."""
    bounds = {
        header: [evaluation.summary.get(f"{name}_{b}", np.nan) for b in ("low", "high")]
        for header, name in shown.items()
    }
    known = [f"{header} {number(low)} to {number(high)}" for header, (low, high) in bounds.items() if low <= high]
    return ", ".join(known)


def _percent(fraction: float) -> str:
    """Format a fraction above 0 so that it never reads as 0 %."""
    return "<0.1 %" if fraction < 0.0005 else f"{100 * fraction:.1f} %"
