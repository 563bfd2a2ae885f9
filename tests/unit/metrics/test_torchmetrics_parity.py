"""Our metrics against torchmetrics, where both are defined: all labels known, and every AU shows both classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification, regression

from faceflow.metrics.intensity import intensity_metrics
from faceflow.metrics.occurrence import occurrence_metrics

FRAMES, AUS = 300, 4
THRESHOLD = 0.405  # that no score equals: there torchmetrics decides > and we >=


def epoch(seed: int) -> tuple[Any, Any, Any]:
    """Scores with ties, occurrence, and intensities 0-5."""
    rng = np.random.default_rng(seed)
    occurrence = rng.random((FRAMES, AUS)) < rng.uniform(0.1, 0.6, AUS)
    probability = np.round(np.clip(0.6 * rng.random((FRAMES, AUS)) + 0.3 * occurrence, 0, 1), 2)
    intensity = np.where(occurrence, rng.integers(1, 6, (FRAMES, AUS)), 0)
    return probability, occurrence, intensity


@pytest.mark.parametrize("seed", range(3))
def test_occurrence_metrics_equal_torchmetrics(seed: int) -> None:
    probability, occurrence, _ = epoch(seed)
    ours = occurrence_metrics(probability, occurrence, np.ones_like(occurrence), THRESHOLD)
    scores, labels = torch.from_numpy(probability), torch.from_numpy(occurrence).long()
    common: dict[str, Any] = {"num_labels": AUS, "average": None}
    theirs = {
        "f1": classification.multilabel_f1_score(scores, labels, threshold=THRESHOLD, **common),
        "precision": classification.multilabel_precision(scores, labels, threshold=THRESHOLD, **common),
        "recall": classification.multilabel_recall(scores, labels, threshold=THRESHOLD, **common),
        "specificity": classification.multilabel_specificity(scores, labels, threshold=THRESHOLD, **common),
        "accuracy": classification.multilabel_accuracy(scores, labels, threshold=THRESHOLD, **common),
        "ap": classification.multilabel_average_precision(scores, labels, **common),
        "auroc": classification.multilabel_auroc(scores, labels, **common),
    }
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values.numpy(), abs=1e-6), name


@pytest.mark.parametrize("seed", range(3))
def test_intensity_metrics_equal_torchmetrics(seed: int) -> None:
    probability, _, intensity = epoch(seed)
    ours = intensity_metrics(5 * probability, intensity, np.ones(intensity.shape, np.bool_))
    for au in range(AUS):
        predicted, truth = torch.from_numpy(5 * probability[:, au]), torch.from_numpy(intensity[:, au]).double()
        theirs = {
            "pcc": regression.pearson_corrcoef(predicted, truth),
            "mse": regression.mean_squared_error(predicted, truth),
            "mae": regression.mean_absolute_error(predicted, truth),
            "rmse": regression.mean_squared_error(predicted, truth, squared=False),
            "smape": regression.symmetric_mean_absolute_percentage_error(predicted, truth),
            "wmape": regression.weighted_mean_absolute_percentage_error(predicted, truth),
        }
        for name, value in theirs.items():
            assert ours[name][au] == pytest.approx(float(value), abs=1e-6), name
