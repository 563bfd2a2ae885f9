from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from faceflow.metrics.curves import precision_recall


def test_curve_agrees_with_sklearn_and_its_steps_enclose_the_ap() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.2
    probability = np.round(np.clip(0.3 * truth + 0.7 * rng.random(300), 0, 1), 2)
    precision, recall = precision_recall(probability, truth)
    sk_precision, sk_recall, _ = precision_recall_curve(truth, probability)
    np.testing.assert_allclose(precision[1:], sk_precision[-2::-1])
    np.testing.assert_allclose(recall[1:], sk_recall[-2::-1])
    assert recall[0] == 0
    area = float(np.sum(np.diff(recall) * precision[1:]))
    assert area == pytest.approx(average_precision_score(truth, probability))
