from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from studies.resampling import PERCENTILES, Resamples
from studies.run_scores import Scored

from faceflow.metrics.occurrence import decision_metrics, occurrence_metrics
from tests.helpers.study import random_scores

WHO = {"studio": {"a", "b", "c", "d"}, "office": {"e", "f"}}
TESTED = {(0, "studio"): "abc", (1, "studio"): "d", (0, "office"): "ef", (1, "office"): "e"}


def repeated(scored: Scored, weights: dict[str, float]) -> dict[str, np.ndarray]:
    """Scores of FaceFlow on a set that repeats every face as often as its subject was drawn."""
    rows = np.repeat(np.arange(len(scored.faces)), [int(weights[name]) for name in scored.subjects])
    faces = scored.probability[rows], scored.truth[rows].astype(int), scored.observed[rows]
    return {"f1_val": decision_metrics(*faces, scored.thresholds)["f1"], "ap": occurrence_metrics(*faces, 0.5)["ap"]}


def mean(values: list[float], weights: list[float]) -> float:
    pairs = [(value, weight) for value, weight in zip(values, weights, strict=True) if value == value and weight]
    return sum(value * weight for value, weight in pairs) / sum(w for _, w in pairs) if pairs else np.nan


def test_resampled_scores_and_differences_are_those_of_sets_with_repeated_faces() -> None:
    rng = np.random.default_rng(3)
    ours = {cell: random_scores(rng, list(names)) for cell, names in TESTED.items()}
    theirs = {
        cell: dataclasses.replace(scored, probability=rng.integers(0, 9, scored.truth.shape) / 8)
        for cell, scored in ours.items()
    }
    resamples = Resamples([0, 1], WHO, count=25)
    fast = [{cell: resamples.scores(cell[1], scored) for cell, scored in runs.items()} for runs in (ours, theirs)]
    for metric in ("f1_val", "ap"):
        slow = []
        for draw in range(26):
            drawn = {
                test: dict(zip(sorted(names), resamples.subject_weights[test][draw], strict=True))
                for test, names in WHO.items()
            }
            by_seed = []
            for seed in (0, 1):
                by_test = []
                for test in WHO:
                    pair = [repeated(runs[seed, test], drawn[test])[metric] for runs in (ours, theirs)]
                    for found, expected in zip(fast, pair, strict=True):
                        np.testing.assert_allclose(found[seed, test][metric][draw], expected, rtol=1e-12)
                    by_test.append(mean(list(pair[0] - pair[1]), [1, 1, 1]))
                by_seed.append(mean(by_test, [1, 1]))
            slow.append((by_seed, mean(by_seed, list(resamples.seed_weights[draw]))))
        values = np.array([value for _, value in slow])
        assert np.isnan([by_seed for by_seed, _ in slow]).any()  # a seed none of whose subjects were drawn
        found = resamples.difference(*({cell: scores[metric] for cell, scores in runs.items()} for runs in fast))
        assert found.mean == pytest.approx(values[0])
        assert found.std == pytest.approx(np.std(slow[0][0], ddof=1))
        assert (found.low, found.high) == pytest.approx(tuple(np.nanpercentile(values[1:], PERCENTILES)))


def test_as_many_seeds_and_subjects_are_drawn_as_there_are() -> None:
    resamples = Resamples([0, 1, 2], WHO, count=50)
    for weights, number in ((resamples.seed_weights, 3), *((resamples.subject_weights[t], len(WHO[t])) for t in WHO)):
        assert weights.shape == (51, number)
        assert weights[0].tolist() == [1] * number
        assert (weights.sum(axis=1) == number).all()
        assert weights[1:].std() > 0


def test_a_run_does_not_differ_from_itself() -> None:
    scored = random_scores(np.random.default_rng(0), "ab")
    resamples = Resamples([0], {"studio": {"a", "b"}})
    scores = {(0, "studio"): resamples.scores("studio", scored)["ap"]}
    found = resamples.difference(scores, scores)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert np.isnan(found.std)


def test_an_au_without_a_threshold_has_no_f1() -> None:
    scored = random_scores(np.random.default_rng(0), "ab")
    resamples = Resamples([0], {"studio": {"a", "b"}}, count=3)
    found = resamples.scores("studio", dataclasses.replace(scored, thresholds=np.array([0.5, np.nan, 0.5])))["f1_val"]
    assert np.isnan(found).any(axis=0).tolist()[1]
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[0, 0])
