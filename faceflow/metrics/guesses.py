"""F1 of those who do not look at the face: what a score of a rare or frequent AU is to be read against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ALWAYS, PRIOR = "f1_always", "f1_prior"
GUESSES = {ALWAYS: "always", PRIOR: "prior"}  # name in files -> header
MEANING = "always, prior: F1 of saying of every face that the AU occurs, and of guessing as often as it does"


def always_f1(base_rate: npt.ArrayLike) -> FloatArray:
    """F1 of saying of every frame that the AU occurs, 2b / (1 + b): precision is the base rate b, recall is 1.

    NaN where an AU occurs on no frame or on all, and so has no F1.
    """
    rate = _defined(base_rate)
    return 2 * rate / (1 + rate)


def prior_f1(base_rate: npt.ArrayLike) -> FloatArray:
    """F1 of guessing at random as often as the AU occurs: precision and recall, and so F1, are the base rate."""
    return _defined(base_rate)


def guessed_f1(positives: npt.ArrayLike, labelled: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """`always_f1` and `prior_f1` of counts of frames, (A,) each."""
    known = np.asarray(labelled, np.float64)
    rate = np.asarray(positives, np.float64) / np.where(known > 0, known, np.nan)
    return always_f1(rate), prior_f1(rate)


def _defined(base_rate: npt.ArrayLike) -> FloatArray:
    rate = np.asarray(base_rate, np.float64)
    return np.where((rate > 0) & (rate < 1), rate, np.nan)
