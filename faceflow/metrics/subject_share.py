"""How much of what a network says is about who somebody is: the subject's share of the variance of its logits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_SMALLEST = 1e-7  # probability; keeps logits finite


def subject_share(probability: npt.ArrayLike, subjects: npt.ArrayLike) -> FloatArray:
    """Share of the variance of the logits that lies between subjects, per AU, (A,); NaN where there is none to share.

    1: every face of a subject has the same score; labels have some per cent. Of few faces per subject the share is high
    by chance alone: (S - 1) / (N - 1) for N faces of S subjects without any difference.

    Args:
        probability: (N, A).
        subjects: who each face shows, (N,).
    """
    clipped = np.clip(np.asarray(probability, np.float64), _SMALLEST, 1 - _SMALLEST)
    logits = np.log(clipped) - np.log1p(-clipped)
    _, which, count = np.unique(np.asarray(subjects), return_inverse=True, return_counts=True)
    logits -= logits.sum(axis=0) / max(1, len(logits))  # lest squares cancel
    sums = np.zeros((len(count), logits.shape[1]))
    np.add.at(sums, which, logits)
    return share_of_sums(count.astype(np.float64), sums, (logits**2).sum(axis=0))


def share_of_sums(count: FloatArray, sums: FloatArray, squares: FloatArray) -> FloatArray:
    """Share from sums per subject.

    Args:
        count: faces of each subject, (S,); 0 of some.
        sums: of the logits of each subject, (S, A).
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
