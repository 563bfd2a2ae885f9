"""Compares two models on the same labels by means over the AUs on which both have a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from faceflow.encoding import Array
from faceflow.metrics.au_scores import Evaluation


@dataclass(frozen=True, kw_only=True)
class PairedMean:
    """Mean of a metric for each of two models, over the `aus` on which both have a value."""

    first: float
    second: float
    aus: tuple[str, ...]


def paired_means(first: Evaluation, second: Evaluation) -> dict[str, PairedMean]:
    """Mean of every metric that both have, if its mean over AUs is meaningful; NaN without an AU."""
    found = {}
    for name in first.summary:
        if name in first.columns and name in second.columns:
            one, other = _by_au(first, name), _by_au(second, name)
            aus = tuple(au for au in one if au in other)
            found[name] = PairedMean(first=_mean(one, aus), second=_mean(other, aus), aus=aus)
    return found


def _by_au(evaluation: Evaluation, name: str) -> dict[str, float]:
    """Defined values of a metric by AU."""
    values: Array = evaluation.columns[name]
    return {au: float(value) for au, value in zip(evaluation.aus, values, strict=True) if np.isfinite(value)}


def _mean(values: Mapping[str, float], aus: tuple[str, ...]) -> float:
    return float(np.mean([values[au] for au in aus])) if aus else float("nan")
