"""Differences of runs in each group of faces: is the better run better for all groups?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.table import Table

from faceflow.comparing.differences import MEAN, differences
from faceflow.comparing.predictions import Predictions
from faceflow.comparing.tables import signed
from faceflow.console import add_row, number, plain_table
from faceflow.metrics.audited import Audit, check_groups
from faceflow.metrics.metric import Column, Needs, header_of

_LISTED = 8  # names in a note


@dataclass(frozen=True, kw_only=True)
class GroupDifferences:
    """Rows by column, group, run, metric and AU (see `group_differences`), and what is not reported."""

    rows: pd.DataFrame
    notes: tuple[str, ...]


def group_differences(
    runs: Sequence[Predictions], metrics: Sequence[Column], audit: Audit, *, level: float, resamples: int, seed: int
) -> GroupDifferences:
    """Compare runs with the first on the faces of each group separately.

    Rows hold: column, group, subjects, faces, and all columns of `differences` but p and verdict, which would not be
    corrected for the number of groups. Columns whose groups differ most in the first metric come first, and in each
    column the groups with the smallest difference.

    Args:
        runs: from `on_same_faces`; the first has the groups of the faces.
        metrics: compared metrics. Ranking metrics are left out, as they would take hours.
        audit: requested audit.
        level: of `differences`.
        resamples: of the subjects.
        seed: of the draws.

    Raises:
        ConfigError: a column has no groups, or too many.
    """
    kept = [column for column in metrics if column.metric.needs is not Needs.RANKING]
    parts: list[tuple[float, pd.DataFrame]] = []
    notes = []
    if left := [column.header for column in metrics if column not in kept]:
        notes.append(f"{', '.join(left)}: not compared by group, as ranking each group would take too long.")
    for name in audit.columns if kept else ():
        texts = runs[0].faces[name].to_numpy(np.str_)
        check_groups(name, texts)
        small, groups = {}, []
        for group in np.unique(texts[texts != ""]).tolist():
            places = np.flatnonzero(texts == group)
            own = [run.take(places, run.aus) for run in runs]
            subjects = own[0].faces["subject"].nunique()
            if subjects < max(2, audit.least_subjects):  # one subject has no interval
                small[group] = subjects
                continue
            found = differences(own, kept, level=level, resamples=resamples, seed=seed).rows
            about = {"column": name, "group": group, "subjects": subjects, "faces": len(places)}
            groups.append(pd.DataFrame({**about, **found.drop(columns=["p", "p_holm", "verdict"])}))
        notes += _left_out(name, small, int((texts == "").sum()), max(2, audit.least_subjects))
        if groups:
            firsts = [float(_means(each, kept[0].name)["difference"].iloc[0]) for each in groups]
            order = np.argsort(np.nan_to_num(firsts, nan=np.inf), kind="stable")
            spread = np.nan_to_num(np.nanmax(firsts) - np.nanmin(firsts)) if np.isfinite(firsts).any() else 0.0
            parts.append((float(spread), pd.concat([groups[place] for place in order], ignore_index=True)))
    parts.sort(key=lambda part: -part[0])
    rows = (
        pd.concat([part for _, part in parts], ignore_index=True)
        if parts
        else pd.DataFrame(columns=["column", "group"])
    )
    return GroupDifferences(rows=rows, notes=tuple(notes))


def groups_tables(found: GroupDifferences) -> list[Table]:
    """A table per metric and run with a row per group: means over AUs and their difference."""
    if not len(found.rows):
        return []
    tables = []
    for (metric, run), rows in found.rows[found.rows["au"] == MEAN].groupby(["metric", "run"], sort=False):
        title = f"{header_of(str(metric))} by group: {run} against {rows['reference'].iloc[0]}"
        headers = ["subjects", "faces", "reference", "run", "difference", "95 % interval"]
        table = plain_table(title, ["column", "group"], headers, caption="means over the AUs with a score in the group")
        last = ""
        for row in rows.to_dict("records"):
            if row["column"] != last:
                table.add_section()
            interval = f"{signed(row['low'])} to {signed(row['high'])}" if np.isfinite(row["low"]) else "-"
            scores = [number(row["score_reference"]), number(row["score"]), signed(row["difference"]), interval]
            name = str(row["column"]) if row["column"] != last else ""
            add_row(table, [name, str(row["group"]), str(row["subjects"]), str(row["faces"]), *scores])
            last = str(row["column"])
        tables.append(table)
    return tables


def _means(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    return rows[(rows["au"] == MEAN) & (rows["metric"] == metric)]


def _left_out(column: str, small: dict[str, int], unknown: int, least: int) -> Iterator[str]:
    if small:
        names = ", ".join(f"{name} ({count})" for name, count in list(small.items())[:_LISTED])
        more = f" and {len(small) - _LISTED} more" if len(small) > _LISTED else ""
        yield f"{column}: groups with fewer than {least} subjects are not reported: {names}{more}."
    if unknown:
        yield f"{column}: {unknown} faces without a value are left out."
