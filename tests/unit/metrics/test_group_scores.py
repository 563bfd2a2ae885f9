"""Scores of groups by hand, and their intervals against a plain loop that resamples rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import f1_score

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.calibration import calibration_error_of_sums, calibration_errors, calibration_terms
from faceflow.metrics.group_scores import (
    BASE_RATE,
    ECE,
    F1,
    FALSE_ALARMS,
    ICC,
    RATE_ERROR,
    ColumnScores,
    GroupScores,
    base_rate,
    false_alarm_rate,
    score_groups,
)
from faceflow.metrics.intensity import intensity_metrics

Array = npt.NDArray[Any]
NAN = math.nan
RESAMPLES = 60


def scored(
    columns: dict[str, Sequence[str]],
    subjects: Sequence[str],
    probability: Any,
    labels: Any,
    *,
    intensity: Array | None = None,
    grades: Array | None = None,
    thresholds: Any = 0.5,
    least: int = 1,
    resamples: int = 0,
) -> list[ColumnScores]:
    probability, labels = np.asarray(probability, np.float64), np.asarray(labels, np.float64)
    aus = [f"AU{number}" for number in (1, 2, 4)][: labels.shape[1]]
    return score_groups(
        {name: np.array(texts) for name, texts in columns.items()},
        np.array(subjects),
        Prediction(probability=probability, intensity=intensity),
        aus=aus,
        occurrence=labels,
        intensity=np.full_like(labels, NAN) if grades is None else grades,
        observed=np.isfinite(labels),
        thresholds=np.broadcast_to(np.asarray(thresholds, np.float64), (labels.shape[1],)),
        least_subjects=least,
        resamples=resamples,
        seed=5,
    )


def means(group: GroupScores) -> dict[str, float]:
    return {score: float(estimate.mean.value) for score, estimate in group.estimates.items()}


# Two faces each of four subjects; those without glasses are all read right.
GLASSES = ["no"] * 4 + ["yes"] * 4
PEOPLE = [*"aabbccdd"]
ONE_AU = [[0.9], [0.2], [0.8], [0.1], [0.6], [0.7], [0.3], [0.2]]
LABELS = [[1], [0], [1], [0], [1], [0], [1], [0]]


def test_groups_are_scored_on_their_own_faces_and_the_lowest_f1_is_first() -> None:
    (column,) = scored({"glasses": GLASSES}, PEOPLE, ONE_AU, LABELS)
    yes, no = column.groups
    assert [(each.name, each.subjects, each.faces) for each in (yes, no)] == [("yes", 2, 4), ("no", 2, 4)]
    # With glasses: a hit, a false alarm, a miss and a right rejection, each alone in its bin.
    assert means(yes) == pytest.approx(
        {BASE_RATE: 0.5, F1: 0.5, FALSE_ALARMS: 0.5, RATE_ERROR: 1.8 / 4 - 0.5, ECE: (0.4 + 0.7 + 0.7 + 0.2) / 4}
    )
    assert means(no) == pytest.approx(
        {BASE_RATE: 0.5, F1: 1.0, FALSE_ALARMS: 0.0, RATE_ERROR: 2.0 / 4 - 0.5, ECE: (0.1 + 0.2 + 0.2 + 0.1) / 4}
    )
    gap = column.gaps[F1]
    assert (gap.highest, gap.lowest, float(gap.interval.value)) == ("no", "yes", 0.5)
    gap = column.gaps[FALSE_ALARMS]
    assert (gap.highest, gap.lowest, float(gap.interval.value)) == ("yes", "no", 0.5)
    assert math.isnan(gap.interval.low), "no resamples"


def test_columns_with_the_largest_gap_come_first() -> None:
    alike = ["x", "x", "y", "y", "x", "x", "y", "y"]
    found = scored({"hat": alike, "glasses": GLASSES, "none": ["z"] * 8}, PEOPLE, ONE_AU, LABELS)
    assert [each.column for each in found] == ["glasses", "hat", "none"]
    # Hat x: two hits and a false alarm, 4/5; y: a hit and a miss, 2/3.
    assert found[1].gap == pytest.approx(4 / 5 - 2 / 3)
    assert found[2].gaps == {}, "one group alone has nothing to be compared with"


def test_small_groups_and_faces_without_an_entry_are_counted_and_not_reported() -> None:
    columns = {"camera": ["a", "a", "a", "a", "a", "a", "b", ""]}
    (column,) = scored(columns, PEOPLE, ONE_AU, LABELS, least=2)
    assert [each.name for each in column.groups] == ["a"]
    assert column.small == {"b": 1}
    assert column.unknown == 1
    assert scored(columns, PEOPLE, ONE_AU, LABELS, least=4)[0].groups == []


def test_means_are_over_the_aus_that_every_group_has() -> None:
    # AU2 never occurs with glasses, so that it has no F1 there; its false alarms and error are known of both.
    labels = [[1, 1], [0, 0], [1, 1], [0, 0], [1, 0], [0, 0], [1, 0], [0, 0]]
    probability = [[each, other] for (each,), other in zip(ONE_AU, [0.1, 0.9] * 4, strict=True)]
    (column,) = scored({"glasses": GLASSES}, PEOPLE, probability, labels)
    yes, no = column.groups
    assert column.averaged[F1] == ("AU1",)
    assert column.averaged[FALSE_ALARMS] == column.averaged[BASE_RATE] == ("AU1", "AU2")
    assert no.estimates[F1].per_au.value == pytest.approx([1.0, 0.0])
    assert yes.estimates[F1].per_au.value == pytest.approx([0.5, NAN], nan_ok=True)
    assert means(no)[F1] == 1.0, "not the mean of 1 and 0"
    assert yes.estimates[FALSE_ALARMS].per_au.value == pytest.approx([0.5, 0.5])


def test_an_au_without_a_threshold_has_neither_f1_nor_false_alarms() -> None:
    labels = np.hstack([LABELS, LABELS])
    (column,) = scored({"glasses": GLASSES}, PEOPLE, np.hstack([ONE_AU, ONE_AU]), labels, thresholds=[0.5, NAN])
    both = ("AU1", "AU2")
    assert column.averaged == {BASE_RATE: both, F1: ("AU1",), FALSE_ALARMS: ("AU1",), RATE_ERROR: both, ECE: both}


def test_without_an_au_in_common_there_is_no_mean_and_no_gap() -> None:
    labels = [[1], [0], [1], [0], [0], [0], [0], [0]]
    (column,) = scored({"glasses": GLASSES}, PEOPLE, ONE_AU, labels)
    assert F1 not in column.gaps
    assert column.gap == 0.0
    assert all(math.isnan(means(group)[F1]) for group in column.groups)
    assert [group.name for group in column.groups] == ["no", "yes"]


def frames(seed: int) -> tuple[Array, Array, Array, Array, Array]:
    """Subjects with unequal counts of frames, half of which wear a mask; scores, labels with gaps, and the mask."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat([f"p{n}" for n in range(7)], rng.integers(5, 30, 7)))
    score = rng.random((len(who), 3))
    truth = (score + rng.normal(0, 0.6, score.shape) > 0.6).astype(float)
    truth[rng.random(score.shape) < 0.2] = NAN
    return who, score, truth, rng.choice(["on", "off", ""], len(who), p=[0.5, 0.4, 0.1]), np.round(5 * score)


def scores_of(rows: Array, score: Array, truth: Array, grades: Array, cuts: Array) -> dict[str, Array]:
    """The scores of some rows, AU by AU, from scikit-learn and sums over rows; ECE from the bins of one AU."""
    found: dict[str, list[float]] = {name: [] for name in (BASE_RATE, F1, FALSE_ALARMS, RATE_ERROR, ECE)}
    for au in range(score.shape[1]):
        known = rows[np.isfinite(truth[rows, au])]
        y, p = truth[known, au], score[known, au]
        called = p >= cuts[au]
        both = 0 < y.sum() < len(y)
        found[BASE_RATE].append(y.mean() if len(y) else NAN)
        found[F1].append(f1_score(y, called) if both else NAN)
        found[FALSE_ALARMS].append(called[y == 0].mean() if (y == 0).any() else NAN)
        found[RATE_ERROR].append(p.mean() - y.mean() if len(y) else NAN)
        bins = np.ceil(p * 15).clip(1, 15)
        found[ECE].append(sum(abs((y - p)[bins == each].sum()) for each in range(1, 16)) / len(y) if len(y) else NAN)
    known = np.isfinite(truth[rows])
    intensity = intensity_metrics(4 * score[rows], np.where(known, grades[rows], 0.0), known)
    return {name: np.array(values) for name, values in found.items()} | {ICC: intensity["icc"]}


@pytest.mark.parametrize("seed", range(4))
def test_scores_gaps_and_intervals_equal_a_loop_over_resampled_rows(seed: int) -> None:
    who, score, truth, mask, grades = frames(seed)
    cuts = np.array([0.3, 0.5, 0.7])
    (column,) = scored(
        {"mask": mask.tolist()},
        who.tolist(),
        score,
        truth,
        intensity=4 * score,
        grades=np.where(np.isfinite(truth), grades, NAN),
        thresholds=cuts,
        resamples=RESAMPLES,
    )
    names = sorted(set(who.tolist()))
    draws = np.random.default_rng(5).integers(0, len(names), (RESAMPLES, len(names)))
    samples = [np.concatenate([np.flatnonzero(who == names[n]) for n in drawn]) for drawn in draws]
    loops = {
        name: [
            scores_of(rows[mask[rows] == name], score, truth, grades, cuts) for rows in (np.arange(len(who)), *samples)
        ]
        for name in ("on", "off")
    }
    for group in column.groups:
        for name, estimate in group.estimates.items():
            whole, *drawn = [each[name] for each in loops[group.name]]
            if name == ECE:
                drawn = list(whole + drawn - np.nanmean(drawn, axis=0))
            assert estimate.per_au.value == pytest.approx(whole)
            bounds = np.nanquantile(drawn, [0.025, 0.975], axis=0)
            assert [estimate.per_au.low, estimate.per_au.high] == pytest.approx(bounds)
            assert float(estimate.mean.value) == pytest.approx(np.mean(whole))
            bounds = np.nanquantile(np.nanmean(drawn, axis=1), [0.025, 0.975])
            assert [float(estimate.mean.low), float(estimate.mean.high)] == pytest.approx(bounds)
    assert column.gaps.keys() == {BASE_RATE, F1, ICC, FALSE_ALARMS, RATE_ERROR}
    for name, gap in column.gaps.items():
        whole, *drawn = [
            np.nanmean(one[name] - other[name])
            for one, other in zip(loops[gap.highest], loops[gap.lowest], strict=True)
        ]
        assert whole >= 0
        assert float(gap.interval.value) == pytest.approx(whole)
        assert [float(gap.interval.low), float(gap.interval.high)] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


@pytest.mark.parametrize("seed", range(5))
def test_names_and_the_order_of_faces_change_nothing(seed: int) -> None:
    who, score, truth, mask, _ = frames(seed)
    order = np.random.default_rng(seed).permutation(len(who))
    renamed = np.array([{"on": "0", "off": "1", "": ""}[each] for each in mask])
    (before,) = scored({"mask": mask.tolist()}, who.tolist(), score, truth, resamples=RESAMPLES)
    (after,) = scored(
        {"m": renamed[order].tolist()}, who[order].tolist(), score[order], truth[order], resamples=RESAMPLES
    )
    for one, other in zip(before.groups, after.groups, strict=True):
        assert {"on": "0", "off": "1"}[one.name] == other.name
        for name, estimate in one.estimates.items():
            for part in ("value", "low", "high"):
                ours, theirs = (getattr(each.mean, part) for each in (estimate, other.estimates[name]))
                assert float(ours) == pytest.approx(float(theirs))


def test_a_gap_of_alike_groups_has_an_interval_around_nothing() -> None:
    # Each subject is seen by both cameras, which read the same: whoever is drawn, nothing is between them.
    who, score, truth, _, _ = frames(0)
    camera = ["left"] * len(who) + ["right"] * len(who)
    twice = np.tile(score, (2, 1)), np.tile(truth, (2, 1))
    (column,) = scored({"camera": camera}, who.tolist() * 2, *twice, resamples=RESAMPLES)
    for gap in column.gaps.values():
        assert [float(gap.interval.value), float(gap.interval.low), float(gap.interval.high)] == [0, 0, 0]


def test_a_subject_alone_has_scores_and_no_interval() -> None:
    (column,) = scored({"glasses": GLASSES}, ["a"] * 8, ONE_AU, LABELS, resamples=RESAMPLES)
    assert means(column.groups[0])[F1] == 0.5
    assert math.isnan(column.groups[0].estimates[F1].mean.low)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_of_sums_is_that_of_the_frames(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.choice([0.0, 0.2, 1 / 3, 0.4, 0.9, 1.0], (50, 3))  # edges of bins among them
    truth, observed = rng.random((50, 3)) < probability, rng.random((50, 3)) < 0.8
    observed[:, 2] = False
    sums = np.stack([term.sum(axis=0) for term in calibration_terms(probability, truth, observed)])
    found = calibration_error_of_sums(sums)
    assert found == pytest.approx(calibration_errors(probability, truth, observed), nan_ok=True)
    assert math.isnan(found[2])


def test_rates_are_shares_and_undefined_of_nothing() -> None:
    assert base_rate(np.array([1, 0, 0]), np.array([4, 2, 0])) == pytest.approx([0.25, 0, NAN], nan_ok=True)
    assert false_alarm_rate(np.array([1, 0, 0]), np.array([3, 2, 0])) == pytest.approx([0.25, 0, NAN], nan_ok=True)
