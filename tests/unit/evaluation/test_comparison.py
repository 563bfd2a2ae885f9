"""Two networks on the same faces: the AUs compared, the difference, and the conclusion it allows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceflow.evaluation.comparison import Comparison, Difference, compare, comparison_table
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.report.tables import results_table
from tests.helpers.networks import label_table, network_spec

BOOTSTRAP = Bootstrap(resamples=50, seed=0)
TRUTH = np.array([[0.0, 5.0], [4.0, 0.0], [0.0, 3.0], [5.0, 1.0]])  # AU1 and AU12 of four subjects


def scored(aus: tuple[str, ...], intensity: np.ndarray, threshold: float) -> TestScores:
    tables = [label_table("mine", {"AU1": TRUTH[:, 0].tolist(), "AU12": TRUTH[:, 1].tolist()})]
    scorer = SplitScorer(tables, network_spec(levels=5, aus=aus))
    prediction = Prediction(probability=intensity / 5, intensity=intensity)
    evaluations = scorer.score(np.arange(4), prediction, dict.fromkeys(aus, threshold))
    return TestScores(tables=tables, scorer=scorer, evaluations=evaluations, prediction=prediction)


def test_networks_are_compared_on_the_aus_of_both_each_at_its_own_thresholds() -> None:
    before = scored(("AU12", "AU9", "AU1"), np.column_stack([TRUTH[:, 1] / 2, TRUTH[:, 0], 5 - TRUTH[:, 0]]), 0.2)
    after = scored(("AU1", "AU12"), TRUTH, 0.4)
    found = compare(before, after, BOOTSTRAP, faces="test subjects of mine")
    assert (found.aus, found.images, found.subjects) == (("AU1", "AU12"), 4, 4)
    icc = found.differences["icc"]
    # AU1 was upside down, AU12 half as strong: 2 cov / (var + var) = 2 * .5 / (1 + .25).
    assert icc.before == pytest.approx((-1 + 0.8) / 2)
    assert (icc.after, icc.change) == (pytest.approx(1), pytest.approx(1.1))
    f1 = found.differences["f1_val"]
    # At its own 0.2 one hit, two false alarms and a miss of AU1, and all of AU12.
    assert (f1.before, f1.after) == (pytest.approx((0.4 + 1) / 2), pytest.approx(1))
    assert found.to_dict()["icc"]["after"] == pytest.approx(1)
    assert "test subjects of mine: ICC -0.100 -> 1.000, +1.100 (95 % over subjects:" in found.line
    assert comparison_table([found], caption="").row_count == 2
    assert results_table(after.pooled, title="", protocol={}).row_count == 3


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.01, 0.03, "training helped"),
        (-0.03, -0.01, "training did harm"),
        (-0.01, 0.03, "no difference shown with so few subjects"),
        (math.nan, math.nan, "no interval, so this says little"),
    ],
)
def test_the_interval_decides_what_is_reported(low: float, high: float, says: str) -> None:
    found = Difference(metric="icc", before=0.5, after=0.51, change=0.01, low=low, high=high)
    comparison = Comparison(faces="f", images=9, subjects=3, aus=("AU1",), differences={"icc": found})
    assert comparison.line.startswith("f: ICC 0.500 -> 0.510, +0.010")
    assert comparison.line.endswith(f": {says}")
    assert comparison.to_dict()["icc"]["low"] == (None if math.isnan(low) else low)


def test_nothing_to_compare_is_reported() -> None:
    other = scored(("AU9",), TRUTH[:, :1], 0.4)
    found = compare(other, scored(("AU1", "AU12"), TRUTH, 0.4), BOOTSTRAP, faces="f")
    assert found.line == "f: none of the AUs that both networks have can be scored"
