"""A comparison as tables: on the terminal, in Markdown and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from faceflow.comparing.differences import LOSS, MEAN, TIE, WIN, Comparison
from faceflow.console import add_row, number, plain_table
from faceflow.metrics.metric import Column, Needs

_STYLES = {WIN: "green", LOSS: "red"}
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def tables(comparison: Comparison) -> list[Table]:
    """One table per metric and run, a row per AU and one for their mean."""
    found = []
    for column, run, rows in _groups(comparison):
        title = f"{column.header}: {run} against {comparison.reference}"
        header = _header(column)
        table = plain_table(title, header[:1], header[1:], caption=_counts(rows))
        for row in rows.to_dict("records"):
            style = _STYLES.get(row["verdict"], "")
            add_row(table, _cells(row, column), f"bold {style}".strip() if row["au"] == MEAN else style)
        found.append(table)
    return found


def explanation(comparison: Comparison) -> list[str]:
    """How to read the tables, as lines."""
    lines = [
        f"{comparison.images} faces of {comparison.subjects} subjects. Difference: run - {comparison.reference}, with "
        "a 95 % interval by paired bootstrap over subjects.",
        f"Win or loss: p <= {comparison.level:g} in a permutation test over subjects; p is Holm-corrected over the AUs "
        "of a score, and over the runs for the mean.",
    ]
    if any(map(_is_f1, comparison.metrics)):
        lines.append("Always: F1 of predicting the AU on every face; prior: F1 of guessing it as often as it occurs.")
    lines += comparison.notes
    return [*lines, *_blind(comparison)]


def _blind(comparison: Comparison) -> list[str]:
    """Say what cannot be a win or a loss, whatever the difference, because p has a lower limit."""
    rows = comparison.rows
    compared = max(rows[rows["au"] != MEAN].groupby("metric")["p"].count())
    least = (comparison.least_p, min(1.0, comparison.least_p * compared))
    what = next((name for p, name in zip(least, ("any score", "a single AU"), strict=True) if p > comparison.level), "")
    if not what:
        return []
    cause = f"{comparison.subjects} subjects" if comparison.every_swap else "so few bootstrap.resamples"
    step = "test on more subjects" if comparison.every_swap else "raise bootstrap.resamples"
    p = next(p for p in least if p > comparison.level)
    return [
        f"With {cause}, the corrected p of {what} cannot be below {p:.3g}, so it cannot be a win or a loss: {step}."
    ]


def markdown(comparison: Comparison) -> str:
    """All tables in Markdown."""
    parts = []
    for column, run, rows in _groups(comparison):
        lines = [_header(column), ["---", *["---:"] * (len(_header(column)) - 1)]]
        lines += [_cells(row, column) for row in rows.to_dict("records")]
        cells = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines]
        title = f"## {column.header}: {run} against {comparison.reference}"
        parts.append("\n".join([title, "", *(f"| {line} |" for line in cells), "", _counts(rows), ""]))
    return "\n".join([*parts, *explanation(comparison), ""])


def latex(comparison: Comparison) -> str:
    r"""All tables in LaTeX (package booktabs); wins and losses are bold, in place of the column `verdict`."""
    parts = ["% needs \\usepackage{booktabs}", *(f"% {line}" for line in explanation(comparison))]
    for column, run, rows in _groups(comparison):
        header = _header(column)[:-1]
        lines = []
        for row in rows.to_dict("records"):
            cells = [_escaped(cell) for cell in _cells(row, column)[:-1]]
            if row["verdict"] in (WIN, LOSS):
                place = header.index("difference")
                cells[place] = rf"\textbf{{{cells[place]}}}"
            lines += [r"\midrule"] * (row["au"] == MEAN) + [" & ".join(cells) + r" \\"]
        title = _escaped(f"{column.header}: {run} against {comparison.reference}. {_counts(rows)}")
        parts += [
            *("", r"\begin{table}", r"\centering", rf"\caption{{{title}}}"),
            r"\footnotesize\setlength{\tabcolsep}{3pt}",  # fits the 345 pt of article's lines
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            *(r"\toprule", " & ".join(map(_escaped, header)) + r" \\", r"\midrule", *lines, r"\bottomrule"),
            *(r"\end{tabular}", r"\end{table}"),
        ]
    return "\n".join([*parts, ""])


def signed(value: float) -> str:
    """A difference with its sign; no sign if it rounds to zero."""
    text = number(value)
    return text if text == "-" or text.startswith("-") or float(text) == 0 else f"+{text}"


def _groups(comparison: Comparison) -> Iterator[tuple[Column, str, pd.DataFrame]]:
    for column in comparison.metrics:
        for run in comparison.runs:
            rows = comparison.rows
            yield column, run, rows[(rows["metric"] == column.name) & (rows["run"] == run)]


def _header(column: Column) -> list[str]:
    guesses = ["always", "prior"] if _is_f1(column) else []
    return ["AU", "base rate", *guesses, "reference", "run", "difference", "95 % interval", "p (Holm)", "verdict"]


def _cells(row: Mapping[Hashable, Any], column: Column) -> list[str]:
    guesses = [number(row["f1_always"]), number(row["f1_prior"])] if _is_f1(column) else []
    rate = "-" if np.isnan(row["base_rate"]) else f"{100 * row['base_rate']:.1f} %"
    interval = f"{signed(row['low'])} to {signed(row['high'])}" if np.isfinite(row["low"]) else "-"
    scores = [number(row["score_reference"]), number(row["score"]), signed(row["difference"])]
    return [str(row["au"]), rate, *guesses, *scores, interval, _p(row["p_holm"]), str(row["verdict"]) or "-"]


def _is_f1(column: Column) -> bool:
    return column.metric.needs is Needs.DECISIONS and column.metric.name == "f1"


def _counts(rows: pd.DataFrame) -> str:
    verdicts: Sequence[str] = rows.loc[rows["au"] != MEAN, "verdict"].tolist()
    found = [(verdicts.count(kind), kind) for kind in (WIN, TIE, LOSS)]
    plural = {WIN: "wins", TIE: "ties", LOSS: "losses"}
    parts = [f"{count} {kind if count == 1 else plural[kind]}" for count, kind in found]
    return f"{', '.join(parts)} of {sum(count for count, _ in found)} AUs"


def _p(value: float) -> str:
    return "-" if np.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _escaped(text: str) -> str:
    escaped = re.sub(r"[\\~^&%$#_{}]", lambda found: _TEX[found[0]], text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)
