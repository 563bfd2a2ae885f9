"""Test results made by hand or at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceflow.metrics.au_scores import Prediction, evaluate
from faceflow.report.example_faces import Results

SOME = ("AU1", "AU4", "AU12")
THRESHOLD = 0.4


def make_results(
    aus: tuple[str, ...],
    probability: Any,
    truth: Any,
    observed: Any = True,
    files: list[str] | None = None,
    grades: Any = None,
    thresholds: Any = THRESHOLD,
    subjects: list[str] | None = None,
) -> Results:
    """`grades` are predicted intensities; the truth is 3 if an AU occurs; by default all faces show one subject."""
    probability = np.asarray(probability, float)
    observed = np.broadcast_to(observed, probability.shape).copy()
    truth = np.asarray(truth, bool) & observed
    graded = np.where(observed & (grades is not None), 3.0 * truth, np.nan)
    predicted = None if grades is None else np.broadcast_to(np.asarray(grades, float), probability.shape)
    evaluation = evaluate(
        Prediction(probability=probability, intensity=predicted),
        aus=aus,
        occurrence=truth,
        intensity=graded,
        observed=observed & np.isfinite(probability),
        thresholds=np.broadcast_to(thresholds, len(aus)),
    )
    intensity = None if predicted is None else (predicted, graded)
    return Results(
        aus=aus,
        probability=probability,
        truth=truth,
        observed=observed,
        evaluation=evaluation,
        intensity=intensity,
        subjects=["somebody"] * len(observed) if subjects is None else subjects,
        files=files,
    )


def random_results(aus: tuple[str, ...], count: int, **other: Any) -> Results:
    rng = np.random.default_rng(0)
    truth = rng.random((count, len(aus))) < 0.3
    probability = np.clip(0.5 * truth + 0.6 * rng.random(truth.shape), 0, 1)
    return make_results(aus, probability, truth, **other)


def images(folder: Path, count: int) -> list[str]:
    paths = [folder / f"face{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((12, 10, 3), 20 * number % 256, np.uint8))
    return list(map(str, paths))
