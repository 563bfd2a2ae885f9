from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import binary_eer

from faceflow.metrics.occurrence import macro, micro_f1, occurrence_metrics

Array = npt.NDArray[Any]
RATES = ["f1", "f1_norm", "precision", "recall", "specificity", "accuracy", "ap", "auroc", "eer", "eer_threshold"]
KEYS = [*RATES, "positives", "observed"]


def one_au(scores: list[float], truth: list[int], threshold: float = 0.5) -> dict[str, float]:
    prob, labels = np.array(scores)[:, None], np.array(truth)[:, None]
    result = occurrence_metrics(prob, labels, np.ones(prob.shape, dtype=bool), threshold)
    return {key: values[0] for key, values in result.items()}


def random_epoch(seed: int, frames: int = 400, aus: int = 5) -> tuple[Array, Array, Array, Array]:
    """Scores with many ties, skewed labels, about a fifth of them missing, and a threshold per AU."""
    rng = np.random.default_rng(seed)
    truth = rng.random((frames, aus)) < rng.uniform(0.1, 0.6, aus)
    prob = np.round(np.clip(0.6 * rng.random((frames, aus)) + 0.3 * truth, 0, 1), 2)
    return prob, truth.astype(np.float64), rng.random((frames, aus)) < 0.8, rng.uniform(0.3, 0.7, aus)


# Seven frames at threshold 0.5: TP 2 (.9 .8), FP 2 (.8 .6), FN 1 (.4), TN 2 (.2 .1); 3 positives, 4 negatives.
SCORES = [0.9, 0.8, 0.8, 0.6, 0.4, 0.2, 0.1]
TRUTH = [1, 1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f1", 4 / 7),  # 2·2 / (2·2 + 2 + 1)
        ("f1_norm", 8 / 13),  # s = 4/3: 2·(4/3)·2 / (2·(4/3)·2 + (4/3)·1 + 2) = (16/3) / (26/3)
        ("precision", 1 / 2),  # 2 / (2 + 2)
        ("recall", 2 / 3),  # 2 / (2 + 1)
        ("specificity", 1 / 2),  # 2 / (2 + 2)
        ("accuracy", 4 / 7),  # (2 + 2) / 7
        ("ap", 34 / 45),  # recall grows by 1/3 at .9, .8 and .4, with precision 1/1, 2/3 and 3/5
        ("auroc", 19 / 24),  # positives beat 4, 3 + 1/2 (tie at .8) and 2 of the 4 negatives: 9.5 / (3·4)
        ("eer", 7 / 24),  # at .8: FNR 1/3, FPR 1/4; at .9 they are 2/3 and 0, at .6 1/3 and 1/2
        ("eer_threshold", 0.8),
        ("positives", 3),
        ("observed", 7),
    ],
)
def test_metric_equals_value_worked_out_by_hand(name: str, expected: float) -> None:
    assert one_au(SCORES, TRUTH)[name] == pytest.approx(expected, abs=1e-15)


def test_metrics_come_in_the_documented_order_as_one_value_per_au() -> None:
    prob, truth, observed, thresholds = random_epoch(0)
    result = occurrence_metrics(prob, truth, observed, thresholds)
    assert [key for key in result if key in KEYS] == KEYS  # a metric that is new stands between them
    assert all(values.shape == (5,) for values in result.values())
    assert result["positives"].dtype.kind == result["observed"].dtype.kind == "i"


def test_score_equal_to_the_threshold_is_predicted_positive() -> None:
    assert one_au([0.5, 0.4], [1, 0])["recall"] == 1.0


def test_precision_and_f1_are_zero_without_a_predicted_positive() -> None:
    result = one_au([0.4, 0.3], [1, 0])
    assert (result["precision"], result["recall"], result["f1"], result["f1_norm"]) == (0, 0, 0, 0)
    assert result["specificity"] == 1.0


def test_f1_norm_does_not_change_when_negatives_are_repeated_but_f1_does() -> None:
    repeated = [*range(7), 2, 3, 5, 6]
    plain, skewed = one_au(SCORES, TRUTH), one_au([SCORES[i] for i in repeated], [TRUTH[i] for i in repeated])
    assert skewed["f1_norm"] == pytest.approx(plain["f1_norm"], abs=1e-15)
    assert skewed["f1"] == pytest.approx(4 / 9)  # TP 2, FP 4, FN 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_equal_scikit_learn_on_ties_and_missing_labels(seed: int, dtype: type[np.floating[Any]]) -> None:
    prob, truth, observed, thresholds = random_epoch(seed)
    prob = prob.astype(dtype)
    result = occurrence_metrics(prob, truth, observed, thresholds)
    for au, threshold in enumerate(thresholds):
        seen = observed[:, au]
        y, score = truth[seen, au].astype(int), prob[seen, au]
        hard = (score >= threshold).astype(int)
        expected = {
            "f1": sklearn_metrics.f1_score(y, hard),
            "precision": sklearn_metrics.precision_score(y, hard),
            "recall": sklearn_metrics.recall_score(y, hard),
            "specificity": sklearn_metrics.recall_score(y, hard, pos_label=0),
            "accuracy": sklearn_metrics.accuracy_score(y, hard),
            "ap": sklearn_metrics.average_precision_score(y, score),
            "auroc": sklearn_metrics.roc_auc_score(y, score),
            "positives": y.sum(),
            "observed": y.size,
        }
        assert {key: result[key][au] for key in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_eer_equals_torchmetrics(seed: int) -> None:
    prob, truth, observed, thresholds = random_epoch(seed)
    result = occurrence_metrics(prob, truth, observed, thresholds)
    for au in range(prob.shape[1]):
        seen = observed[:, au]
        score, y = torch.from_numpy(prob[seen, au]), torch.from_numpy(truth[seen, au]).long()
        assert result["eer"][au] == pytest.approx(float(binary_eer(score, y)), abs=1e-6)


@pytest.mark.parametrize("seed", range(50))
def test_eer_equals_brute_force_in_exact_fractions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(2, 15))
    scores = rng.integers(0, 8, frames) / 8
    truth = np.append([0, 1], rng.integers(0, 2, frames - 2))
    candidates = []
    for score in sorted(set(scores), reverse=True):
        fnr = Fraction(int(np.sum(scores[truth == 1] < score)), int(np.sum(truth == 1)))
        fpr = Fraction(int(np.sum(scores[truth == 0] >= score)), int(np.sum(truth == 0)))
        candidates.append((abs(fnr - fpr), -score, (fnr + fpr) / 2))
    _, negated_score, rate = min(candidates)
    result = one_au(list(scores), list(truth))
    assert result["eer"] == pytest.approx(float(rate), abs=1e-15)
    assert result["eer_threshold"] == -negated_score


def test_eer_takes_the_higher_of_two_scores_equally_far_from_equality() -> None:
    # At .9: FNR 2/4, FPR 0. At .5: FNR 1/4, FPR 3/4. Both differ by 1/2, their means are 1/4 and 1/2.
    result = one_au([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1], [1, 1, 1, 0, 0, 0, 1, 0])
    assert (result["eer"], result["eer_threshold"]) == (0.25, 0.9)


@pytest.mark.parametrize(("scores", "auroc", "eer"), [([0.9, 0.1], 1.0, 0.0), ([0.1, 0.9], 0.0, 1.0)])
def test_perfect_and_inverted_ranking_reach_the_ends_of_the_scale(
    scores: list[float], auroc: float, eer: float
) -> None:
    result = one_au(scores, [1, 0])
    assert (result["auroc"], result["eer"]) == (auroc, eer)


def test_constant_scores_are_chance_whatever_the_row_order() -> None:
    for truth in ([1, 0, 0, 0], [0, 0, 0, 1]):
        result = one_au([0.3] * 4, truth)
        assert (result["ap"], result["auroc"], result["eer"]) == (0.25, 0.5, 0.5)


def test_scores_that_differ_in_the_last_bit_are_not_tied() -> None:
    above = float(np.nextafter(0.7, 1))
    assert one_au([above, 0.7], [1, 0])["auroc"] == 1.0
    assert one_au([0.7, above], [1, 0])["auroc"] == 0.0


def test_negative_zero_ties_with_zero_at_the_bottom() -> None:
    assert one_au([1.0, -0.0, 0.0], [1, 1, 0])["auroc"] == 0.75  # beats; ties: (1 + 1/2) / 2


def test_order_of_frames_has_no_influence() -> None:
    prob, truth, observed, thresholds = random_epoch(3)
    order = np.random.default_rng(0).permutation(len(prob))
    plain = occurrence_metrics(prob, truth, observed, thresholds)
    shuffled = occurrence_metrics(prob[order], truth[order], observed[order], thresholds)
    for key in KEYS:
        np.testing.assert_array_equal(plain[key], shuffled[key])


@pytest.mark.parametrize(("missing_prob", "missing_truth"), [(np.nan, np.nan), (7.0, 1.0), (0.99, -1.0), (0.0, 9.0)])
def test_missing_entries_have_no_influence(missing_prob: float, missing_truth: float) -> None:
    prob, truth, observed, thresholds = random_epoch(4)
    filled = np.where(observed, prob, missing_prob), np.where(observed, truth, missing_truth)
    plain = occurrence_metrics(prob, truth, observed, thresholds)
    other = occurrence_metrics(*filled, observed, thresholds)
    for key in KEYS:
        np.testing.assert_array_equal(plain[key], other[key])
    assert micro_f1(*filled, observed, thresholds) == micro_f1(prob, truth, observed, thresholds)


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_au_with_a_single_observed_class_is_nan_and_left_out_of_the_macro(only: float) -> None:
    prob, truth, observed, thresholds = random_epoch(5, aus=3)
    observed[:, 1] &= truth[:, 1] == only
    result = occurrence_metrics(prob, truth, observed, thresholds)
    for key in RATES:
        np.testing.assert_array_equal(np.isnan(result[key]), [False, True, False])
        assert macro(result[key]) == pytest.approx((result[key][0] + result[key][2]) / 2)
    assert result["observed"][1] == observed[:, 1].sum()
    assert result["positives"][1] == only * observed[:, 1].sum()


@pytest.mark.parametrize("frames", [0, 3])
def test_epoch_without_observed_labels_is_nan_throughout(frames: int) -> None:
    arrays = np.full((frames, 2), np.nan), np.full((frames, 2), np.nan), np.zeros((frames, 2), dtype=bool)
    result = occurrence_metrics(*arrays, 0.5)
    assert all(math.isnan(macro(result[key])) for key in RATES)
    assert result["positives"].tolist() == result["observed"].tolist() == [0, 0]
    assert math.isnan(micro_f1(*arrays, 0.5))


def test_macro_is_the_mean_over_valid_aus_and_nan_without_one() -> None:
    assert macro(np.array([0.2, np.nan, 0.6])) == pytest.approx(0.4)
    assert math.isnan(macro(np.array([np.nan, np.nan])))


def test_micro_f1_pools_counts_and_keeps_single_class_aus() -> None:
    # Left AU: TP 1, FN 1. Right AU, never positive: FP 1. Pooled 2·1 / (2·1 + 1 + 1).
    prob = np.array([[0.9, 0.9], [0.1, 0.1]])
    truth = np.array([[1, 0], [1, 0]])
    assert micro_f1(prob, truth, np.ones((2, 2), dtype=bool), 0.5) == pytest.approx(1 / 2)


@pytest.mark.parametrize("seed", range(3))
def test_micro_f1_equals_scikit_learn(seed: int) -> None:
    prob, truth, observed, thresholds = random_epoch(seed)
    expected = sklearn_metrics.f1_score(truth[observed], (prob >= thresholds)[observed])
    assert micro_f1(prob, truth, observed, thresholds) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": np.zeros((2, 1))}, "one shape"),
        ({"prob": np.zeros(2)}, r"\(N, A\)"),
        ({"observed": np.ones((2, 2))}, "bool"),
        ({"prob": np.array([[0.1, np.nan], [0.2, 0.3]])}, "NaN or outside"),
        ({"prob": np.array([[0.1, 1.5], [0.2, 0.3]])}, "NaN or outside"),
        ({"truth": np.array([[0, 1], [0.5, 1]])}, "neither 0 nor 1"),
        ({"truth": np.array([[0, 1], [np.nan, 1]])}, "neither 0 nor 1"),
        ({"thresholds": np.zeros(3)}, "thresholds must be scalar"),
        ({"thresholds": np.array([0.5, np.nan])}, "threshold is NaN"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change: dict[str, Array], message: str) -> None:
    arguments: dict[str, Any] = {
        "prob": np.full((2, 2), 0.5),
        "truth": np.array([[0, 1], [1, 0]]),
        "observed": np.ones((2, 2), dtype=bool),
        "thresholds": 0.5,
    }
    with pytest.raises(AssertionError, match=message):
        occurrence_metrics(**(arguments | change))
