"""Choice of test faces that best show what a network can and cannot do."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array
from faceflow.errors import DataError
from faceflow.images import read_image
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD

GROUP = 4  # faces of a kind
_TRIES = 64  # broken or missing files cost no more than this many attempts


@dataclass(frozen=True, kw_only=True)
class Results:
    """Predictions of one data set and their metrics; arrays are (N, A), `intensity` is prediction and truth.

    `subjects` names the subject of each of the N faces, `files` its image file, if there are any. `centred` holds the
    metrics of scores centred by subject, if the test has them; `uncalibrated` the probabilities before calibration, if
    they were calibrated.
    """

    aus: Sequence[str]
    probability: Array
    truth: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    evaluation: Evaluation
    intensity: tuple[Array, Array] | None
    subjects: Sequence[str]
    files: Sequence[str] | None
    centred: Evaluation | None = None
    uncalibrated: Array | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        shape = (len(self.observed), len(self.aus))
        assert self.probability.shape == self.truth.shape == self.observed.shape == shape, f"arrays must be {shape}"
        assert len(self.subjects) == len(self.observed), "one subject per row"
        assert self.files is None or len(self.files) == len(self.observed), "one file per row"
        assert tuple(self.aus) == self.evaluation.aus, "the evaluation is of other AUs"

    @property
    def thresholds(self) -> Array:
        """Threshold of each AU, (A,): tuned on validation, 0.5 where that was impossible."""
        tuned = self.evaluation.columns["threshold_val"]
        return np.where(np.isfinite(tuned), tuned, DEFAULT_THRESHOLD)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Where there is both a label and a prediction, (N, A)."""
        return self.observed & np.isfinite(self.probability)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Where an AU occurs and there is a prediction, (N, A)."""
        return self.judged & self.truth

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Where label and thresholded prediction differ, (N, A)."""
        predicted = np.greater_equal(self.probability, self.thresholds)
        return self.judged & np.not_equal(predicted, self.truth)

    @property
    def graded(self) -> NDArray[np.bool_]:
        """Where there is both a labelled and a predicted intensity, (N, A)."""
        if self.intensity is None:
            return np.zeros_like(self.observed)
        predicted, truth = self.intensity
        return self.observed & np.isfinite(predicted) & np.isfinite(truth)


@dataclass(frozen=True)
class Face:
    """A test image, (H, W, 3) RGB, and its row."""

    row: int
    image: NDArray[np.uint8]


def best_faces(results: Results) -> list[Face]:
    """Pick up to four faces without errors: most active AUs first, then the clearest decisions.

    Faces with a new set of active AUs come first; ties go to the earlier row.
    """
    active = results.active
    distance = np.where(results.judged, np.abs(results.probability - results.thresholds), np.inf).min(axis=1)
    order = np.lexsort((-distance, -active.sum(axis=1)))
    return readable_faces(order[_any(active)[order] & ~_any(results.wrong)[order]], active, results.files)


def worst_faces(results: Results) -> list[Face]:
    """Pick up to four faces with the most surprising errors: the largest sum of -log P(label) over wrong AUs.

    Faces with a new set of wrong AUs come first; ties go to the earlier row.
    """
    wrong = results.wrong
    likelihood = np.where(results.truth, results.probability, 1 - results.probability)
    surprise = -np.log(np.where(wrong, likelihood, 1.0).clip(1e-6)).sum(axis=1)
    order = np.argsort(-surprise, kind="stable")
    return readable_faces(order[_any(wrong)[order]], wrong, results.files)


def _any(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows with any flag, (N, A) -> (N,)."""
    return np.asarray(flags.any(axis=1), np.bool_)


def readable_faces(
    rows: NDArray[np.intp], alike: NDArray[Any], files: Sequence[str] | None, *, count: int = GROUP
) -> list[Face]:
    """Read the first readable faces of a ranking; faces unlike all earlier ones come first.

    Args:
        rows: in order of rank.
        alike: a value that similar faces share, (N,) or (N, K): neighbouring frames of a video show little new.
        files: N face crops.
        count: maximum number of faces.
    """
    if files is None:
        return []
    distinct = np.sort(np.unique(alike[rows], axis=0, return_index=True)[1])
    faces: list[Face] = []
    for row in np.concatenate([rows[distinct], np.delete(rows, distinct)])[:_TRIES]:
        with contextlib.suppress(DataError):
            faces.append(Face(int(row), read_image(files[row])))
        if len(faces) == count:
            break
    return faces
