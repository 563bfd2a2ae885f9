"""Scores by group of faces as a table, a file and a picture: for whom does a network fail?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from faceflow.console import add_row, number, plain_table
from faceflow.metrics.bootstrap import Interval
from faceflow.metrics.group_scores import BASE_RATE, HEADERS, ColumnScores
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page
from faceflow.report.palette import BLUE, GRAY, PALE, VERMILION

MEAN = "mean"  # in the place of an AU
_ROW, _NAMES, _ABOVE, _BELOW, _BETWEEN = 0.24, 2.6, 0.35, 0.45, 0.25  # inches
_LETTERS, _LISTED = 30, 8
_GAPS = ("largest gap", "between")  # names of the rows below the groups of a column


def groups_frame(columns: Sequence[ColumnScores]) -> pd.DataFrame:
    """One row per column, group and AU, and one for the `mean`; each score has three columns: value and interval.

    `subjects` and `faces` count those of the group. The mean is over the AUs that have the score in every group of the
    column. Columns and groups are in the order of the table.
    """
    rows = []
    for each in columns:
        for group in each.groups:
            about = {"column": each.column, "group": group.name, "subjects": group.subjects, "faces": group.faces}
            for place, au in enumerate((*each.aus, MEAN)):
                cells = {}
                for score, estimate in group.estimates.items():
                    one = estimate.mean if au == MEAN else estimate.per_au
                    for part, values in (("", one.value), ("_low", one.low), ("_high", one.high)):
                        cells[f"{score}{part}"] = float(values if au == MEAN else values[place])
                rows.append({**about, "au": au, **cells})
    return pd.DataFrame(rows, columns=None if rows else ["column", "group", "subjects", "faces", "au"])


def groups_content(columns: Sequence[ColumnScores]) -> dict[str, Any]:
    """Means, gaps and groups not reported, by column, for metrics.json."""
    return {
        each.column: {
            "groups": {
                group.name: {"subjects": group.subjects, "faces": group.faces}
                | {score: _bounds(estimate.mean) for score, estimate in group.estimates.items()}
                for group in each.groups
            },
            "gaps": {
                score: {"highest": gap.highest, "lowest": gap.lowest, **_bounds(gap.interval)}
                for score, gap in each.gaps.items()
            },
            "aus": {score: list(aus) for score, aus in each.averaged.items()},
            "too_small": dict(each.small),
            "without_entry": each.unknown,
        }
        for each in columns
    }


def groups_table(
    columns: Sequence[ColumnScores],
    *,
    title: str,
    least_subjects: int,
    subjects_known: bool,
    protocol: Mapping[str, str],
) -> Table:
    """Show the means on the terminal: a row per group, and below each column's groups the largest gap of each score.

    Args:
        columns: in order.
        title: of the table.
        least_subjects: fewest subjects of a group that is reported.
        subjects_known: whether labels name subjects; if not, each face counts as one.
        protocol: of the test.
    """
    scores = [score for score in HEADERS if any(score in group.estimates for each in columns for group in each.groups)]
    people = "subjects" if subjects_known else "subjects?"
    lines = [*_explained(columns, least_subjects, subjects_known), "; ".join(f"{k}: {v}" for k, v in protocol.items())]
    headers = [people, "faces", *(HEADERS[score] for score in scores)]
    table = plain_table(f"Groups: {title}", ["column", "group"], headers, caption="\n".join(lines))
    for each in columns:
        for place, group in enumerate(each.groups):
            cells = [_with_bounds(group.estimates[score].mean) for score in scores]
            name = each.column if place == 0 else ""
            add_row(table, [name, group.name, str(group.subjects), str(group.faces), *cells])
        if each.gaps:
            gaps = [each.gaps.get(score) for score in scores]
            add_row(
                table,
                ["", _GAPS[0], "", "", *(_with_bounds(gap.interval) if gap else "-" for gap in gaps)],
                style="bold",
            )
            pairs = [f"{gap.highest} - {gap.lowest}" if gap else "" for gap in gaps]
            add_row(table, ["", _GAPS[1], "", "", *pairs], style="dim")
        table.add_section()
    return table


def draw_groups(columns: Sequence[ColumnScores], title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a dot with its interval per group and score; within a column, the group with the lowest F1 is on top."""
    shown = [each for each in columns if each.groups]
    scores = [score for score in HEADERS if any(score in group.estimates for each in shown for group in each.groups)]
    heights = [_ROW * len(each.groups) for each in shown]
    page = Page.open(title, protocol, _ABOVE + sum(heights) + _BETWEEN * len(shown) + _BELOW)
    width = (WIDTH - 2 * MARGIN - _NAMES) / len(scores)
    limits = {score: _limits(shown, score) for score in scores}
    top = page.top + _ABOVE
    for each, height in zip(shown, heights, strict=True):
        page.text(MARGIN, top + _ROW / 2, _short(each.column), MEDIUM, bold=True)
        for place, score in enumerate(scores):
            axes = page.axes(MARGIN + _NAMES + place * width, top, width - 0.3, height)
            rows = np.arange(len(each.groups))
            means = [group.estimates[score].mean for group in each.groups]
            values = np.array([float(mean.value) for mean in means])
            for row, mean in zip(rows, means, strict=True):
                axes.plot([float(mean.low), float(mean.high)], [row, row], color=GRAY, lw=1.4, zorder=2)
            gap = each.gaps.get(score)
            ends = {gap.highest, gap.lowest} if gap and score != BASE_RATE else set()
            colors = [VERMILION if group.name in ends else BLUE for group in each.groups]
            axes.scatter(values, rows, s=22, color=colors, zorder=3, clip_on=False)
            axes.set(xlim=limits[score], ylim=(len(rows) - 0.5, -0.5), axisbelow=True)
            names = [f"{_short(group.name)} ({group.subjects})" for group in each.groups]
            axes.set_yticks(rows, names if place == 0 else [""] * len(rows), size=MEDIUM, parse_math=False)
            axes.grid(axis="x", color=PALE, lw=0.6)
            if each is shown[0]:
                axes.set_title(HEADERS[score], size=MEDIUM, loc="left")
            if each is not shown[-1]:
                axes.set_xticklabels([])
        top += height + _BETWEEN
    note = "mean over AUs with 95 % interval; in brackets: number of subjects; red: the two groups with the largest gap"
    page.text(MARGIN + _NAMES, top + _BELOW - 0.25, note, SMALL, color=GRAY)
    return page.figure


def _bounds(found: Interval) -> dict[str, float]:
    return {"value": float(found.value), "low": float(found.low), "high": float(found.high)}


def _with_bounds(found: Interval) -> str:
    if not np.isfinite(found.low):
        return number(float(found.value))
    return f"{number(float(found.value))} ({number(float(found.low), 2)} to {number(float(found.high), 2)})"


def _explained(columns: Sequence[ColumnScores], least_subjects: int, subjects_known: bool) -> Iterator[str]:
    yield "means over AUs with 95 % intervals over subjects; columns with the largest F1 gap first"
    yield (
        "false alarms: share of faces without the AU that are predicted to show it; rate error: mean probability - "
        "base rate; ECE: calibration error; it has no gap, because chance alone makes it larger in smaller groups"
    )
    yield "largest gap: highest - lowest mean; among many groups, some differ widely by chance"
    if not subjects_known:
        yield "subjects?: some faces have no subject id; each of them counts as a subject, so intervals are too narrow"
    for each in columns:
        if each.small:
            names = [f"{name} ({count})" for name, count in each.small.items()]
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            yield (
                f"{each.column}: groups with fewer than {least_subjects} subjects are not reported: "
                f"{', '.join(names[:_LISTED])}{more}"
            )
        if len(each.groups) == 1:
            yield f"{each.column}: only one group, so there is nothing to compare it with"
        if each.unknown:
            yield f"{each.column}: {each.unknown} faces without a value are left out"
        counts = {score: len(aus) for score, aus in each.averaged.items() if len(aus) < len(each.aus)}
        if counts:
            listed = ", ".join(f"{HEADERS[score]} {count}" for score, count in counts.items())
            yield f"{each.column}: AUs with a score in every group, of {len(each.aus)}: {listed}"


def _limits(columns: Sequence[ColumnScores], score: str) -> tuple[float, float]:
    """Axis limits that include all intervals."""
    means = [group.estimates[score].mean for each in columns for group in each.groups if score in group.estimates]
    ends = np.array([float(end) for mean in means for end in (mean.value, mean.low, mean.high)])
    known = np.append(ends[np.isfinite(ends)], 0.0)
    margin = 0.05 * float(np.ptp(known)) + 1e-3
    return float(known.min()) - (margin if known.min() < 0 else 0.0), float(known.max()) + margin


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 3]}..."
