"""Confident learning finds labels that a network contradicts, and nothing without enough evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from faceflow.encoding import Array
from faceflow.metrics.label_errors import LEAST, LabelErrors, find_label_errors

NAN = math.nan


def of_one_au(probabilities: Sequence[float], labels: Sequence[float]) -> LabelErrors:
    """Errors of one AU; NaN is no label."""
    occurs, probability = np.array(labels)[:, None], np.array(probabilities)[:, None]
    return find_label_errors(probability, occurs == 1, np.isfinite(occurs))


def test_labels_beyond_the_mean_of_the_other_class_are_suspicious() -> None:
    found = of_one_au([*[0.1] * 9, 0.9, *[0.8] * 9, 0.05], [0] * 10 + [1] * 10)
    np.testing.assert_allclose(found.thresholds[:, 0], [(9 * 0.9 + 0.1) / 10, (9 * 0.8 + 0.05) / 10])
    assert np.flatnonzero(found.suspicious[:, 0]).tolist() == [9, 19]
    np.testing.assert_allclose(found.score[[9, 19, 0, 10], 0], [0.8, 0.9, -0.8, -0.6])


def test_the_other_class_must_be_more_probable_too() -> None:
    found = of_one_au([*[0.05] * 90, 0.35, 0.5, 0.6, *[0.3] * 10], [0] * 93 + [1] * 10)
    assert found.thresholds[1, 0] == pytest.approx(0.3)
    assert np.flatnonzero(found.suspicious[:, 0]).tolist() == [92], "0.35 says rather no than yes"


def test_a_network_that_is_reversed_contradicts_every_label() -> None:
    assert of_one_au([0.55] * 10 + [0.45] * 10, [0] * 10 + [1] * 10).suspicious.all()


@pytest.mark.parametrize("positives", [0, 1, LEAST - 1])
def test_a_class_of_few_labels_is_not_checked(positives: int) -> None:
    found = of_one_au([0.1] * 19 + [0.9] * (positives + 1), [0] * 20 + [1] * positives)
    assert not found.checked.any()
    assert not found.suspicious.any()
    assert np.isnan(found.thresholds).all()


def test_faces_without_label_or_prediction_take_no_part() -> None:
    probabilities, labels = [*[0.1] * 9, 0.9, *[0.8] * 9, 0.05], [0.0] * 10 + [1.0] * 10
    whole = of_one_au(probabilities, labels)
    more = of_one_au([*probabilities, 0.99, NAN, NAN], [*labels, NAN, 0, 1])
    np.testing.assert_array_equal(more.thresholds, whole.thresholds)
    np.testing.assert_array_equal(more.suspicious[:20], whole.suspicious)
    assert not more.checked[20:].any()
    assert np.isnan(more.score[20:]).all()
    assert not more.suspicious[20:].any()


def made_up(seed: int) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Probabilities with gaps, often on a threshold as they are rounded, labels, and where there are some."""
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(20, 60)), int(rng.integers(1, 4))
    probability = np.round(rng.random(shape), int(rng.integers(1, 4)))
    probability[rng.random(shape) < rng.choice([0, 0.1])] = NAN
    return probability, rng.random(shape) < rng.choice([0.1, 0.3, 0.5]), rng.random(shape) < 0.9


@pytest.mark.parametrize("seed", range(50))
def test_it_is_the_confident_joint_of_the_paper(seed: int) -> None:
    probability, occurs, observed = made_up(seed)
    found = find_label_errors(probability, occurs, observed)
    for au in range(probability.shape[1]):
        rows = [row for row in range(len(occurs)) if observed[row, au] and np.isfinite(probability[row, au])]
        of = {row: (1 - probability[row, au], probability[row, au]) for row in rows}
        sets = [[row for row in rows if occurs[row, au] == label] for label in (0, 1)]
        if min(map(len, sets)) < LEAST:
            assert not found.checked[:, au].any()
            continue
        means = [sum(of[row][label] for row in sets[label]) / len(sets[label]) for label in (0, 1)]
        off_diagonal = []
        for row in rows:
            confident = [label for label in (0, 1) if of[row][label] >= means[label] - 1e-6]
            guessed = max(confident, key=lambda label: of[row][label], default=occurs[row, au])
            if guessed != occurs[row, au] and of[row][guessed] > of[row][1 - guessed]:
                off_diagonal.append(row)
        assert np.flatnonzero(found.suspicious[:, au]).tolist() == off_diagonal
