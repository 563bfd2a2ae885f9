"""The test predictions of all folds together, read from their predictions.csv."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.aus import sort_key
from faceflow.encoding import Array
from faceflow.errors import DataError
from faceflow.evaluation.centred import CENTRED
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.bootstrap import Estimate, SubjectBootstrap
from faceflow.metrics.guesses import GUESSES, guessed_f1
from faceflow.metrics.occurrence import macro
from faceflow.report.prediction_arrays import SUBJECT, TEXTS, predicted_aus, stacked, with_subject


class Pooled(NamedTuple):
    """A score of pooled predictions and the bounds of its 95 % interval over subjects; NaN where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PooledTest:
    """N frames of all folds; arrays are (N, A), NaN where a fold lacks the AU or nothing is known.

    `thresholds` are those of the fold that predicted the frame; `intensity` and `graded` are prediction and truth.
    """

    subjects: NDArray[Any]
    aus: tuple[str, ...]
    probability: Array
    occurs: Array
    thresholds: Array
    intensity: Array
    graded: Array

    def scores(self, *, resamples: int, seed: int) -> dict[str, dict[str | None, Pooled]]:
        """Scores that can be pooled over networks, by metric and AU; None is the mean over AUs.

        AP and AUROC are left out: they would compare probabilities of different networks.
        """
        bootstrap = SubjectBootstrap(self.subjects, resamples=resamples, seed=seed)
        estimates = bootstrap.all_intervals(
            Prediction(probability=self.probability, intensity=self.intensity),
            occurrence=self.occurs,
            intensity=self.graded,
            observed=np.isfinite(self.occurs) & np.isfinite(self.probability),
            thresholds=self.thresholds,
        )
        return {metric: self._by_au(estimate) for metric, estimate in estimates.items()}

    def _by_au(self, estimate: Estimate) -> dict[str | None, Pooled]:
        mean, per_au = estimate.mean, estimate.per_au
        columns = zip(self.aus, per_au.value.tolist(), per_au.low.tolist(), per_au.high.tolist(), strict=True)
        by_au: dict[str | None, Pooled] = {au: Pooled(value, low, high) for au, value, low, high in columns}
        return by_au | {None: Pooled(float(mean.value), float(mean.low), float(mean.high))}


def pool_tests(
    folders: Sequence[Path], thresholds: Sequence[Mapping[str, float | None]], *, centred: bool = False
) -> PooledTest:
    """Read the predictions of finished folds.

    Args:
        folders: of the folds.
        thresholds: of each fold, by AU.
        centred: whether to read those centred by subject.

    Raises:
        DataError: the predictions of a fold are missing or damaged.
    """
    frames = [_read(folder) for folder in folders]
    aus = tuple(dict.fromkeys(au for frame in frames for au in predicted_aus(frame)))
    return PooledTest(
        subjects=np.concatenate([frame.index.to_numpy() for frame in frames]),
        aus=aus,
        **stacked(frames, thresholds, aus, ending=f"_{CENTRED}" if centred else ""),
    )


def pooled_guesses(tests: Sequence[Mapping[str, Mapping[str, float | None]]]) -> dict[str, dict[str | None, Pooled]]:
    """F1 of guessing without looking at the faces, on the faces of some tests together.

    Args:
        tests: for each test, AU -> its row in metrics.json, with the counts `positives` and `observed`.

    Returns:
        Name in files -> AU -> score, without intervals; None is the mean over AUs.
    """
    aus = sorted({au for rows in tests for au in rows}, key=sort_key)
    positives, observed = (
        [sum(rows.get(au, {}).get(count) or 0.0 for rows in tests) for au in aus] for count in ("positives", "observed")
    )
    return {
        name: {
            au: Pooled(value, math.nan, math.nan)
            for au, value in zip([*aus, None], [*values.tolist(), macro(values)], strict=True)
        }
        for name, values in zip(GUESSES, guessed_f1(positives, observed), strict=True)
    }


def _read(folder: Path) -> pd.DataFrame:
    """Predictions of a fold, indexed by subject."""
    path = folder / "predictions.csv"
    try:
        frame = pd.read_csv(path, dtype=TEXTS)
        return frame.set_axis(with_subject(frame.columns.tolist()), axis="columns").set_index(SUBJECT)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected the predictions of a finished fold, got none that can be read; remove "
            f"'{folder / 'metrics.json'}' to test that fold again"
        ) from error
