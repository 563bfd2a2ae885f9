"""Two models on the same labels: means over the AUs on which both have a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from faceflow.encoding import Array
from faceflow.metrics.au_scores import Evaluation


@dataclass(frozen=True, kw_only=True)
class PairedMean:
    """Mean of a metric for one model and the other, over the `aus` of them that have it from both."""

    first: float
    second: float
    aus: tuple[str, ...]


def paired_means(first: Evaluation, second: Evaluation) -> dict[str, PairedMean]:
    """Mean of every metric that both have, where a mean over AUs is one of its own; NaN over no AU."""
    found = {}
    for name in first.summary:
        if name in first.columns and name in second.columns:
            one, other = _by_au(first, name), _by_au(second, name)
            aus = tuple(au for au in one if au in other)
            found[name] = PairedMean(first=_mean(one, aus), second=_mean(other, aus), aus=aus)
    return found


def _by_au(evaluation: Evaluation, name: str) -> dict[str, float]:
    """Values of a metric by AU, where it is defined."""
    values: Array = evaluation.columns[name]
    return {au: float(value) for au, value in zip(evaluation.aus, values, strict=True) if np.isfinite(value)}


def _mean(values: Mapping[str, float], aus: tuple[str, ...]) -> float:
    return float(np.mean([values[au] for au in aus])) if aus else float("nan")
