"""How much a network's output depends on identity: the share of the variance of its logits between subjects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_SMALLEST = 1e-7  # probability; keeps logits finite


def subject_share(probability: npt.ArrayLike, subjects: npt.ArrayLike) -> FloatArray:
    """Share of the variance of the logits between subjects, per AU, (A,); NaN without variance.

    At 1, every face of a subject has the same score; labels have a few per cent. With few faces per subject the share
    is high by chance: (S - 1) / (N - 1) for N faces of S subjects that do not differ.

    Args:
        probability: probabilities, (N, A).
        subjects: subject of each face, (N,).
    """
    clipped = np.clip(np.asarray(probability, np.float64), _SMALLEST, 1 - _SMALLEST)
    logits = np.log(clipped) - np.log1p(-clipped)
    _, which, count = np.unique(np.asarray(subjects), return_inverse=True, return_counts=True)
    logits -= logits.sum(axis=0) / max(1, len(logits))  # so that squares do not cancel
    sums = np.zeros((len(count), logits.shape[1]))
    np.add.at(sums, which, logits)
    return share_of_sums(count.astype(np.float64), sums, (logits**2).sum(axis=0))


def share_of_sums(count: FloatArray, sums: FloatArray, squares: FloatArray) -> FloatArray:
    """Share computed from sums per subject.

    Args:
        count: number of faces of each subject, (S,); can be 0.
        sums: sum of the logits of each subject, (S, A).
        squares: sum of all squared logits, (A,).
    """
    faces = count > 0
    if faces.sum() < 2:
        return np.full(squares.shape, np.nan)
    shift = sums.sum(axis=0) ** 2 / count.sum()
    total, between = squares - shift, (sums[faces] ** 2 / count[faces, None]).sum(axis=0) - shift
    shares = np.full(squares.shape, np.nan)
    np.divide(between, total, out=shares, where=total > _SMALLEST * (1 + squares))
    return shares
