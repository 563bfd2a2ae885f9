"""F1 of guesses that ignore the face: reference values for the score of a rare or frequent AU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ALWAYS, PRIOR = "f1_always", "f1_prior"
GUESSES = {ALWAYS: "always", PRIOR: "prior"}  # name in files -> header
MEANING = "always, prior: F1 of predicting the AU on every face, and of guessing it as often as it occurs"


def always_f1(base_rate: npt.ArrayLike) -> FloatArray:
    """F1 of predicting the AU on every frame, 2b / (1 + b): precision is the base rate b, recall is 1.

    NaN if an AU occurs on no frame or on all frames and so has no F1.
    """
    rate = _defined(base_rate)
    return 2 * rate / (1 + rate)


def prior_f1(base_rate: npt.ArrayLike) -> FloatArray:
    """F1 of guessing at random as often as the AU occurs: precision and recall, and so F1, are the base rate."""
    return _defined(base_rate)


def guessed_f1(positives: npt.ArrayLike, labelled: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """`always_f1` and `prior_f1` from numbers of frames, (A,) each."""
    known = np.asarray(labelled, np.float64)
    rate = np.asarray(positives, np.float64) / np.where(known > 0, known, np.nan)
    return always_f1(rate), prior_f1(rate)


def _defined(base_rate: npt.ArrayLike) -> FloatArray:
    rate = np.asarray(base_rate, np.float64)
    return np.where((rate > 0) & (rate < 1), rate, np.nan)
