"""Did training help? The network that a run started from and the trained one, on the same faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from faceflow.console import add_row, number, plain_table
from faceflow.encoding import Array
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.metric import Place, columns_in, header_of

_FIGURES = ("icc", "f1_val")  # the first that both have decides


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean over AUs before and after, and its change with the 95 % interval; NaN bounds without one."""

    metric: str
    before: float
    after: float
    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Conclusion from the interval."""
        if not np.isfinite([self.low, self.high]).all():
            return "no interval, so this says little"
        if self.low > 0:
            return "training helped"
        return "training did harm" if self.high < 0 else "no difference shown with so few subjects"

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for files, None for what is not known."""
        numbers = {
            name: value if np.isfinite(value) else None for name, value in vars(self).items() if name != "metric"
        }
        return {**numbers, "says": self.verdict}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two networks on the same faces and on the AUs of both, metric by metric; `faces` describes the faces."""

    faces: str
    images: int
    subjects: int
    aus: tuple[str, ...]
    differences: Mapping[str, Difference]

    @property
    def line(self) -> str:
        """The deciding metric and the conclusion from it."""
        shown = next((self.differences[name] for name in _FIGURES if name in self.differences), None)
        if shown is None:
            return f"{self.faces}: none of the AUs that both networks have can be scored"
        interval = f" (95 % over subjects: {_signed(shown.low)} to {_signed(shown.high)})"
        change = f"{number(shown.before)} -> {number(shown.after)}, {_signed(shown.change)}"
        figure = f"{header_of(shown.metric)} {change}{interval if np.isfinite(shown.low) else ''}"
        return f"{self.faces}: {figure}: {shown.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for files."""
        return {
            "images": self.images,
            "subjects": self.subjects,
            "aus": list(self.aus),
            "says": self.line,
            **{name: each.to_dict() for name, each in self.differences.items()},
        }


def compare(before: TestScores, after: TestScores, bootstrap: Bootstrap, *, faces: str) -> Comparison:
    """Compare two tests of the same tables, each at its own validation thresholds.

    Args:
        before: of the network that training started from.
        after: of the trained one.
        bootstrap: of the subjects.
        faces: description of the faces.
    """
    truth = after.scorer.pooled.truth
    aus = [au for au in truth.aus if au in before.scorer.pooled.truth.aus]
    columns = [truth.aus.index(au) for au in aus]
    subjects = np.concatenate([table.subjects for table in after.tables])
    draws = SubjectBootstrap(subjects, resamples=bootstrap.resamples if aus else 0, seed=bootstrap.seed)
    estimates = draws.all_differences(
        _on(before, aus),
        _on(after, aus),
        occurrence=truth.occurrence[:, columns],
        intensity=truth.intensity[:, columns],
        observed=truth.observed[:, columns],
    )
    found = {}
    for column in columns_in(Place.EXPORT):
        estimate = estimates.get(column.name)
        if estimate is None or not np.isfinite(estimate.per_au.value).any():
            continue
        scored = np.isfinite(estimate.per_au.value)
        found[column.name] = Difference(
            metric=column.name,
            before=float(_of(before, column.name, aus)[scored].mean()),
            after=float(_of(after, column.name, aus)[scored].mean()),
            change=float(estimate.mean.value),
            low=float(estimate.mean.low),
            high=float(estimate.mean.high),
        )
    return Comparison(faces=faces, images=len(subjects), subjects=draws.count, aus=tuple(aus), differences=found)


def comparison_table(comparisons: Sequence[Comparison], *, caption: str) -> Table:
    """Table with a row per metric and kind of faces."""
    table = plain_table(
        "Start and trained network on the same faces",
        ["faces", "metric"],
        ["images", "subjects", "start", "trained", "change", "95 % interval"],
        caption=caption,
    )
    for each in comparisons:
        for name, found in each.differences.items():
            interval = f"{_signed(found.low)} to {_signed(found.high)}" if np.isfinite(found.low) else "-"
            cells = [each.faces, header_of(name), str(each.images), str(each.subjects)]
            add_row(table, [*cells, number(found.before), number(found.after), _signed(found.change), interval])
    return table


def _on(scores: TestScores, aus: Sequence[str]) -> tuple[Prediction, Array]:
    """Prediction on some AUs and its thresholds."""
    known = scores.scorer.pooled.truth.aus
    columns, found = [known.index(au) for au in aus], scores.prediction
    intensity = None if found.intensity is None else found.intensity[:, columns]
    found = Prediction(probability=found.probability[:, columns], intensity=intensity)
    return found, _of(scores, "threshold_val", aus)


def _of(scores: TestScores, column: str, aus: Sequence[str]) -> Array:
    """A column of the scores of some AUs."""
    pooled = scores.pooled
    return pooled.columns[column][[pooled.aus.index(au) for au in aus]]


def _signed(value: float) -> str:
    return f"{value:+.3f}"
