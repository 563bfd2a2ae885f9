"""Labels that are probably wrong, by confident learning, AU by AU.

C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 2021,
arXiv:1911.00068). Each AU is a separate problem of two classes, so faces without its label are not used for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array

LEAST = 10  # labels of each class; the mean over fewer is not a usable threshold
_ROUNDING = 1e-6  # so that a probability equal to the mean of equal ones reaches it


@dataclass(frozen=True, kw_only=True)
class LabelErrors:
    """Result of confident learning for the labels of N faces and A AUs.

    Attributes:
        checked: labels that were checked, (N, A): those with a prediction, of AUs with enough labels of both classes.
        suspicious: labels that are probably wrong, (N, A).
        thresholds: mean probability of a class over the faces with this label, (2, A): AU absent, AU present; NaN if an
            AU is not checked.
        score: how much more probable the other class is than the label, (N, A), -1 to 1: the negated normalized margin,
            so the most suspicious labels have the highest score; NaN where nothing was checked.
    """

    checked: NDArray[np.bool_]
    suspicious: NDArray[np.bool_]
    thresholds: Array
    score: Array


def find_label_errors(probability: Array, occurs: NDArray[np.bool_], observed: NDArray[np.bool_]) -> LabelErrors:
    """Find labels that are off the diagonal of the confident joint of an AU and contradict the more probable class.

    A label is suspicious if the other class is more probable, and at least as probable as its average over the faces
    that have it as label. cleanlab calls this `filter_by="confident_learning"`.

    Args:
        probability: probability that an AU occurs, (N, A), by networks not trained on these labels; NaN if unknown.
        occurs: the labels, (N, A).
        observed: where there is a label, (N, A).
    """
    known = observed & np.isfinite(probability)
    of_class = np.stack([1 - probability, probability])  # (2, N, A)
    labelled = np.stack([known & ~occurs, known & occurs])
    counts = labelled.sum(axis=1)
    enough = (counts >= LEAST).all(axis=0)
    sums = np.where(labelled, of_class, 0.0).sum(axis=1)
    thresholds = np.where(enough, sums / np.maximum(counts, 1), np.nan)
    checked = known & enough
    other = np.where(occurs, of_class[0], of_class[1])
    least = np.where(occurs, thresholds[0], thresholds[1])
    return LabelErrors(
        checked=checked,
        suspicious=checked & (other > 0.5) & (other >= least - _ROUNDING),
        thresholds=thresholds,
        score=np.where(checked, 2 * other - 1, np.nan),
    )
