"""Labels that are probably wrong, as a file, tables and a picture."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from faceflow.aus import description
from faceflow.console import add_row, number, plain_table
from faceflow.encoding import Array
from faceflow.metrics.label_errors import LEAST, LabelErrors
from faceflow.report.example_faces import readable_faces
from faceflow.report.face_tiles import HEAD, PITCH, STEP, FaceTiles
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page
from faceflow.report.palette import GRAY

GROUPS = ("dataset", "coder", "video")  # columns by which suspicious labels are counted, where they tell rows apart

_SHOWN = 15  # labels or groups in a table
_METHOD = (
    "suspicious: the network finds the other class more probable, and is at least as sure of it as on average for "
    "faces labelled with that class (confident learning, Northcutt et al. 2021). Look at the face before you change a "
    "label: the network may be wrong."
)
_ACROSS, _EACH = 2, 6  # AUs, and faces of each
_ABOVE = 0.5  # inches
_BLOCK = (WIDTH - 2 * MARGIN) / _ACROSS  # inches
_LETTERS, _RANKED = 28, 512


@dataclass(frozen=True, kw_only=True)
class LabelCheck:
    """Labels of N faces and A AUs, and which of them are suspicious.

    Attributes:
        aus: A names.
        probability: that the AU occurs, (N, A), from a network that was not trained on these labels.
        occurs: the labels, (N, A).
        errors: result of confident learning.
        faces: N rows with the columns dataset, filename and subject, and coder and video if labels have them.
        files: image file of each face.
    """

    aus: Sequence[str]
    probability: Array
    occurs: NDArray[np.bool_]
    errors: LabelErrors
    faces: pd.DataFrame
    files: Sequence[str]

    @functools.cached_property
    def ranked(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the suspicious labels, the most suspicious first."""
        rows, columns = np.nonzero(self.errors.suspicious)
        order = np.argsort(-self.errors.score[rows, columns], kind="stable")
        return rows[order], columns[order]

    def of_au(self, column: int) -> NDArray[np.intp]:
        """Rows of the suspicious labels of an AU, the most suspicious first."""
        rows, columns = self.ranked
        found: NDArray[np.intp] = rows[columns == column]
        return found

    @property
    def per_au(self) -> dict[str, dict[str, int]]:
        """AU -> number of labels checked, of suspicious ones, and of suspicious ones that are 0 and that are 1."""
        suspicious, checked = self.errors.suspicious, self.errors.checked
        return {
            au: {
                "labels": int(checked[:, column].sum()),
                "suspicious": int(suspicious[:, column].sum()),
                "suspicious_0": int((suspicious & ~self.occurs)[:, column].sum()),
                "suspicious_1": int((suspicious & self.occurs)[:, column].sum()),
            }
            for column, au in enumerate(self.aus)
        }

    @property
    def groups(self) -> dict[str, pd.DataFrame]:
        """Column -> table of its values: numbers of labels and of suspicious ones, and their share, highest first."""
        counts = pd.DataFrame(
            {"labels": self.errors.checked.sum(axis=1), "suspicious": self.errors.suspicious.sum(axis=1)}
        )
        found = {}
        for name in GROUPS:
            if name in self.faces and self.faces[name].nunique() > 1:
                each = counts.groupby(self.faces[name].to_numpy(), sort=True).sum()
                each = each[each["labels"] > 0].assign(share=lambda frame: frame["suspicious"] / frame["labels"])
                found[name] = each.sort_values("share", ascending=False, kind="stable").rename_axis(name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        totals = {
            "labels": int(self.errors.checked.sum()),
            "suspicious": int(self.errors.suspicious.sum()),
        }
        by = {name: frame.to_dict("index") for name, frame in self.groups.items()}
        return {**totals, "per_au": self.per_au, **({"by": by} if by else {})}


def label_check_frame(check: LabelCheck) -> pd.DataFrame:
    """One row per suspicious label, the most suspicious first.

    `probability` is that of the AU. It contradicts a label 0 at or above `threshold`, and a label 1 at or below it; the
    threshold never lies on the label's side of 0.5. `score`: how much more probable the other class is than the label.
    """
    rows, columns = check.ranked
    labels = check.occurs[rows, columns].astype(int)
    absent, present = check.errors.thresholds[:, columns]
    faces = check.faces.iloc[rows].reset_index(drop=True)
    found: dict[str, Any] = {
        "rank": np.arange(1, len(rows) + 1),
        **{name: faces[name] for name in ("dataset", "filename", "subject")},
        "au": np.asarray(check.aus, str)[columns],
        "label": labels,
        "probability": check.probability[rows, columns].astype(np.float32),
        "threshold": np.where(labels == 1, 1 - absent.clip(min=0.5), present.clip(min=0.5)).astype(np.float32),
        "score": check.errors.score[rows, columns].astype(np.float32),
    }
    further = [name for name in faces.columns if name not in found]
    return pd.concat([pd.DataFrame(found), faces[further]], axis=1)


def label_check_tables(check: LabelCheck, *, title: str) -> list[Table]:
    """Count suspicious labels per AU, list the most suspicious, and count them per data set, coder and video."""
    return [_aus_table(check, title), *_first_table(check), *(_group_table(*each) for each in check.groups.items())]


def _aus_table(check: LabelCheck, title: str) -> Table:
    few = [au for au, counts in check.per_au.items() if not counts["labels"]]
    notes = [_METHOD, *([f"not checked: {', '.join(few)} (fewer than {LEAST} labels of 0, or of 1)"] if few else [])]
    headers = ["labels", "suspicious", "share", "0, probably 1", "1, probably 0"]
    table = plain_table(f"Suspicious labels: {title}", ["AU", "description"], headers, caption="\n".join(notes))
    for au, counts in check.per_au.items():
        add_row(table, [au, description(au), *_counts(counts)], style="" if counts["labels"] else "dim")
    table.add_section()
    totals = {name: sum(counts[name] for counts in check.per_au.values()) for name in next(iter(check.per_au.values()))}
    add_row(table, ["all", "", *_counts(totals)], style="bold")
    return table


def _counts(counts: Mapping[str, int]) -> list[str]:
    labels, *suspicious = (str(counts[name]) for name in ("labels", "suspicious", "suspicious_0", "suspicious_1"))
    if not counts["labels"]:
        return [labels, "-", "-", "-", "-"]
    return [labels, suspicious[0], _percent(counts["suspicious"] / counts["labels"]), *suspicious[1:]]


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)} %"


def _first_table(check: LabelCheck) -> Iterator[Table]:
    """Table of the first labels of the file; none if no label is suspicious."""
    frame = label_check_frame(check)
    if frame.empty:
        return
    first = frame.head(_SHOWN)
    caption = "probability: that the AU occurs; score: how much more probable the other class is than the label"
    title = f"Most suspicious labels: {len(first)} of {len(frame)}"
    table = plain_table(title, ["filename", "subject", "AU"], ["label", "probability", "score"], caption=caption)
    for filename, subject, au, label, probability, score in first[
        ["filename", "subject", "au", "label", "probability", "score"]
    ].itertuples(index=False):
        add_row(table, [filename, subject, au, str(label), number(probability), number(score)])
    yield table


def _group_table(name: str, groups: pd.DataFrame) -> Table:
    more = len(groups) - _SHOWN
    caption = f"{more} more in metrics.json" if more > 0 else ""
    table = plain_table(f"Suspicious labels by {name}", [name], ["labels", "suspicious", "share"], caption=caption)
    for each, labels, suspicious, share in groups.head(_SHOWN).itertuples():
        add_row(table, [str(each) or "(empty)", str(labels), str(suspicious), _percent(share)])
    return table


def draw_label_check(check: LabelCheck, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw up to six faces per AU with suspicious labels, from different subjects as far as possible."""
    shown = [column for column in range(len(check.aus)) if len(check.of_au(column))]
    page = Page.open(title, protocol, _ABOVE + math.ceil(len(shown) / _ACROSS) * PITCH + 0.1)
    text = "Labels that are probably wrong, most suspicious first: label, probability that the AU occurs, file."
    page.text(MARGIN, page.top + 0.17, text if shown else "No label is suspicious.", MEDIUM)
    tiles = FaceTiles.on(page)
    alike = np.unique(check.faces["subject"].to_numpy(str), return_inverse=True)[1]
    for place, column in enumerate(shown):
        down, right = divmod(place, _ACROSS)
        left, top = MARGIN + right * _BLOCK, page.top + _ABOVE + down * PITCH
        rows, au = check.of_au(column), check.aus[column]
        page.text(left, top, f"{au} {description(au)}"[:_LETTERS], MEDIUM, bold=True)
        page.text(left + 2.2, top, f"{len(rows)} of {int(check.errors.checked[:, column].sum())} labels", MEDIUM)
        faces = readable_faces(rows[:_RANKED], alike, check.files, count=_EACH)
        if not faces:
            page.text(left, top + 0.3, "no image can be read", SMALL, color=GRAY, italic=True)
        for position, face in enumerate(faces):
            label, probability = int(check.occurs[face.row, column]), check.probability[face.row, column]
            value = f"{label}, {probability:.2f}"
            tiles.add(face.image, left + position * STEP, top + HEAD, value=value, file=check.files[face.row])
    tiles.finish()
    return page.figure
