"""Cutpoints of levels, and the level from which occurrence is read."""

from __future__ import annotations

import numpy as np
import pytest

from faceflow.encoding import LabelScale, cutpoints, encode, occurrence_level, occurs
from faceflow.metrics.au_scores import decode
from faceflow.metrics.occurrence import occurrence_metrics


@pytest.mark.parametrize(("levels", "expected"), [(2, (2, 4)), (3, (2, 3, 4)), (4, (1, 2, 3, 4)), (5, (1, 2, 3, 4, 5))])
def test_up_to_five_levels_are_cut_at_whole_intensities(levels: int, expected: tuple[float, ...]) -> None:
    assert cutpoints(levels) == expected


def test_more_levels_are_cut_in_equal_steps() -> None:
    assert cutpoints(10) == (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)


@pytest.mark.parametrize(
    ("levels", "rule", "expected"),
    [
        (2, 1, (1, 4)),
        (2, 5, (2, 5)),
        (3, 0.5, (0.5, 3, 4)),
        (3, 2.5, (2.5, 3, 4)),
        (4, 5, (1, 2, 3, 5)),
        (4, 3, (1, 2, 3, 4)),
        (4, 2.0000000001, (1, 2, 3, 4)),
        (6, 2, (5 / 6, 2, 2.5, 10 / 3, 25 / 6, 5)),
        (5, 2.5, (1, 2, 3, 4, 5)),  # the lossless code of whole intensities stays
    ],
)
def test_the_cut_nearest_to_the_occurrence_rule_is_moved_onto_it(
    levels: int, rule: float, expected: tuple[float, ...]
) -> None:
    assert cutpoints(levels, None, rule) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("levels", range(2, 13))
@pytest.mark.parametrize("rule", [0.25, 1, 2, 2.75, 4.9, 5])
def test_default_cutpoints_pass_as_chosen_ones(levels: int, rule: float) -> None:
    points = cutpoints(levels, None, rule)
    assert cutpoints(levels, points) == points


@pytest.mark.parametrize(
    ("points", "rule", "cut"),
    [
        ((1, 2, 3, 4, 5), 2, 2),
        ((1, 2, 3, 4, 5), 5, 5),
        ((5 / 3, 10 / 3, 5), 2, 5 / 3),  # of whole intensities >= 1.67 is >= 2; these were the defaults of 0.1.0
        ((1.25, 2.5, 3.75, 5), 2, 1.25),
        ((2.5, 5), 2, 2.5),
        ((1.2, 1.8, 2.4), 2, 1.8),  # the nearer of two that divide whole intensities alike
        ((1.9, 2, 2.1), 2, 2),
        ((1, 2, 3, 4, 5), 1.5, 2),
        ((1, 3), 2, 3),  # equally near
        ((0.5, 3.9), 2, 0.5),
        ((3, 4), 2, 3),
        ((0.5, 1), 2, 1),
        ((1, 2), 2 + 1e-9, 2),
    ],
)
def test_occurrence_is_read_where_labels_are_cut(points: tuple[float, ...], rule: float, cut: float) -> None:
    assert points[occurrence_level(points, rule)] == cut


@pytest.mark.parametrize("levels", range(1, 7))
@pytest.mark.parametrize("continuous", [False, True])
def test_a_perfect_ordinal_network_scores_one(levels: int, continuous: bool) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(40):
        # Five levels stay at 1..5, which divides labels between whole intensities by whole rules only.
        rule = float(rng.integers(1, 5)) if levels == 5 or not continuous else float(rng.uniform(0.3, 4.7))
        highest = float(rng.choice([1, 5, 100]))
        scores = rng.uniform(0, 5, (60, 3)) if continuous else rng.integers(0, 6, (60, 3)).astype(float)
        scale = LabelScale(score_max=highest, occurrence_min=rule * highest / 5)
        labels = scores * highest / 5
        points = cutpoints(levels, None, scale.facs_rule)
        network = encode(labels, scale, points).astype(float).clip(0.01, 0.99)
        network[rng.random(network.shape) < 0.1] += 0.005  # not quite the same everywhere
        truth, known = occurs(labels, scale), rng.random(labels.shape) < 0.9
        found = occurrence_metrics(decode(network, points, scale.facs_rule).probability, truth, known, 0.5)
        both = (truth & known).any(axis=0) & (~truth & known).any(axis=0)
        assert found["f1"][both].tolist() == found["auroc"][both].tolist() == [1.0] * both.sum()
        assert both.any()


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_cuts_of_0_1_0_score_a_perfect_network_where_one_divides_whole_intensities(levels: int) -> None:
    points = tuple(5 * level / levels for level in range(1, levels + 1))
    scores, scale = np.arange(6.0)[:, None], LabelScale(score_max=5, occurrence_min=2)
    network = encode(scores, scale, points).astype(float)
    found = occurrence_metrics(decode(network, points, 2).probability, occurs(scores, scale), scores >= 0, 0.5)["f1"]
    assert found.tolist() == pytest.approx([1.0 if levels > 2 else 6 / 7])  # 2.5 and 5 miss intensity 2
