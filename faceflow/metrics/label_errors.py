"""Labels that are probably wrong, by confident learning, AU by AU.

C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 2021,
arXiv:1911.00068). Each AU is a problem of two classes of its own, so that faces without its label take no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array

LEAST = 10  # labels of each class: the mean over fewer is no threshold
_ROUNDING = 1e-6  # a probability equal to the mean of equal ones reaches it


@dataclass(frozen=True, kw_only=True)
class LabelErrors:
    """What confident learning says of the labels of N faces and A AUs.

    Attributes:
        checked: labels that were looked at, (N, A): of AUs with enough labels of both classes, where there is a
            prediction.
        suspicious: labels that are probably wrong, (N, A).
        thresholds: mean probability of the class over its labels, (2, A): that an AU does not occur, and that it does;
            NaN where an AU is not checked.
        score: how much more probable the other class is than the label, (N, A), -1 to 1: the normalized margin with its
            sign turned, so that the most suspicious are highest; NaN where nothing was checked.
    """

    checked: NDArray[np.bool_]
    suspicious: NDArray[np.bool_]
    thresholds: Array
    score: Array


def find_label_errors(probability: Array, occurs: NDArray[np.bool_], observed: NDArray[np.bool_]) -> LabelErrors:
    """Find the labels off the diagonal of the confident joint of every AU that the more probable class contradicts.

    A label is suspicious where the other class is more probable, and at least as probable as on average over the faces
    that have it as their label. It is what cleanlab calls `filter_by="confident_learning"`.

    Args:
        probability: that an AU occurs, (N, A), of networks that did not learn from these labels; NaN: none.
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
