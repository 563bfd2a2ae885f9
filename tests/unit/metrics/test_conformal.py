"""Cuts that hold a promised share: values worked out by hand, a second route in loops, and simulated subjects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceflow.metrics.conformal import covering_cut, quantile


@pytest.mark.parametrize(("level", "expected"), [(0.0, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_a_quantile_is_the_smallest_value_that_reaches_its_level(level: float, expected: float) -> None:
    assert quantile(np.array([1.0, 2.0, 3.0, 4.0]), level) == expected


def test_a_cut_of_two_subjects_by_hand() -> None:
    """Two of the four scores 1, 4 and 2, 3 are held once the first subject's cut is 3 and the second's at least 2."""
    scores, subjects = np.array([1.0, 4.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    # Level 1/2: cuts 2 (of 2, 3) and 1 (of 1, 4) hold the 1 alone, a quarter. Above: cuts 3 and 4 hold 1, 2 and 3.
    assert covering_cut(scores, subjects, 0.25) == 1
    assert covering_cut(scores, subjects, 0.5) == 3
    assert covering_cut(scores, subjects, 0.75) == 3
    assert covering_cut(scores, subjects, 0.76) == math.inf


@pytest.mark.parametrize("seed", range(40))
def test_cuts_are_those_of_a_search_over_every_level(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, coverage = int(rng.integers(2, 6)), float(rng.choice([0.5, 0.8, 0.9]))
    scores = rng.integers(0, 10, rng.integers(2 * count, 40)).astype(np.float64)
    subjects = np.arange(len(scores)) % count
    levels = sorted({k / n for n in range(1, len(scores) + 1) for k in range(1, n + 1)})
    expected = math.inf
    for level in levels:
        held = 0
        for subject in range(count):
            others = sorted(scores[subjects != subject])
            cut = others[max(0, math.ceil(level * len(others) - 1e-9) - 1)]
            held += sum(score <= cut for score in scores[subjects == subject])
        if held / len(scores) >= coverage:
            expected = sorted(scores)[max(0, math.ceil(level * len(scores) - 1e-9) - 1)]
            break
    assert covering_cut(scores, subjects, coverage) == expected


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.8])
def test_the_next_subject_is_held_as_promised_however_alike_its_faces_are(alike: float) -> None:
    """Mean over 200 draws of 12 subjects; the share of the normal distribution below a cut is exact."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        own = rng.normal(0, math.sqrt(alike), 12).repeat(30)
        cut = covering_cut(own + rng.normal(0, math.sqrt(1 - alike), 360), np.arange(12).repeat(30), 0.9)
        held.append(0.5 * (1 + math.erf(cut / math.sqrt(2))))
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_more_than_a_hundred_subjects_are_left_out_in_groups() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    assert covering_cut(scores, np.arange(1000), 0.9) == covering_cut(scores, np.arange(1000) % 100, 0.9)
    assert covering_cut(scores, np.arange(1000), 0.9) == pytest.approx(np.quantile(scores, 0.9), abs=0.02)
