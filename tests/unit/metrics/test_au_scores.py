from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from faceflow.metrics.au_scores import Evaluation, Prediction, decode, evaluate, merge_sides, tuned_thresholds

NAN = math.nan
RNG = np.random.default_rng(0)
PROBABILITY = RNG.random((40, 3))
OCCURRENCE = RNG.random((40, 3)) < PROBABILITY
AUS = ("AU1", "AU12", "AU25")


def score(**changes: Any) -> Evaluation:
    settings: dict[str, Any] = {
        "aus": AUS,
        "occurrence": OCCURRENCE,
        "intensity": np.full((40, 3), NAN),
        "observed": np.ones((40, 3), np.bool_),
        "thresholds": np.array([0.3, 0.5, 0.7]),
    }
    prediction = changes.pop("prediction", Prediction(probability=PROBABILITY, intensity=None))
    return evaluate(prediction, **(settings | changes))


def test_columns_are_the_metrics_of_sklearn_at_both_thresholds() -> None:
    columns = score().columns
    for au, cut in enumerate((0.3, 0.5, 0.7)):
        truth, values = OCCURRENCE[:, au], PROBABILITY[:, au]
        assert columns["f1_val"][au] == pytest.approx(f1_score(truth, values >= cut))
        assert columns["f1_0.5"][au] == pytest.approx(f1_score(truth, values >= 0.5))
        assert columns["ap"][au] == pytest.approx(average_precision_score(truth, values))
        assert columns["auroc"][au] == pytest.approx(roc_auc_score(truth, values))
    assert columns["threshold_val"].tolist() == [0.3, 0.5, 0.7]
    assert columns["positives"].tolist() == OCCURRENCE.sum(axis=0).tolist()


def test_summary_is_the_mean_over_aus_that_show_both_classes() -> None:
    occurrence = OCCURRENCE.copy()
    occurrence[:, 1] = False
    evaluation = score(occurrence=occurrence)
    for name in ("f1_val", "f1_0.5", "ap", "auroc", "eer"):
        column = evaluation.columns[name]
        assert math.isnan(column[1])
        assert evaluation.summary[name] == pytest.approx((column[0] + column[2]) / 2)
    assert evaluation.summary["valid_aus"] == 2
    assert not {"positives", "observed", "threshold_val", "eer_threshold"} & evaluation.summary.keys()


def test_pooled_f1_counts_all_aus_together() -> None:
    expected = f1_score(OCCURRENCE.ravel(), (PROBABILITY >= [0.3, 0.5, 0.7]).ravel())
    assert score().summary["micro_f1_val"] == pytest.approx(expected)


def test_au_without_a_threshold_has_no_metric_at_it() -> None:
    columns = score(thresholds=np.array([0.3, NAN, 0.7])).columns
    for name in ("f1", "f1_norm", "precision", "recall", "specificity", "accuracy"):
        assert np.isnan(columns[f"{name}_val"]).tolist() == [False, True, False]
        assert np.isfinite(columns[f"{name}_0.5"]).all()
    assert np.isfinite(columns["auroc"]).all()


def test_unobserved_entries_have_no_influence() -> None:
    observed = RNG.random((40, 3)) < 0.7
    flipped = np.where(observed, OCCURRENCE, ~OCCURRENCE)
    one, other = score(observed=observed), score(observed=observed, occurrence=flipped)
    assert one.to_dict() == other.to_dict()
    assert one.columns["observed"].tolist() == observed.sum(axis=0).tolist()


def test_intensity_is_scored_only_where_it_is_known() -> None:
    intensity = np.full((40, 3), NAN)
    intensity[:20, 0] = np.arange(20) % 6
    prediction = Prediction(probability=PROBABILITY, intensity=np.nan_to_num(intensity) + 0.5)
    columns = score(prediction=prediction, intensity=intensity).columns
    assert columns["mae"].tolist() == pytest.approx([0.5, NAN, NAN], nan_ok=True)
    assert columns["pcc"][0] == pytest.approx(1.0)


def test_icc_covers_the_aus_whose_labels_vary_and_says_how_many() -> None:
    intensity = np.where(OCCURRENCE, 3.0, 0.0)
    intensity[:, 1] = 0
    evaluation = score(prediction=Prediction(probability=PROBABILITY, intensity=PROBABILITY * 5), intensity=intensity)
    icc = evaluation.columns["icc"]
    assert math.isnan(icc[1])
    assert evaluation.summary["icc"] == pytest.approx((icc[0] + icc[2]) / 2)
    assert (evaluation.summary["valid_aus"], evaluation.summary["valid_aus_icc"]) == (3, 2)


def test_intensity_columns_are_absent_without_graded_labels_or_levels() -> None:
    graded = Prediction(probability=PROBABILITY, intensity=PROBABILITY * 5)
    assert "icc" not in score(prediction=graded).columns
    assert "icc" not in score(intensity=np.ones((40, 3))).columns


def test_dictionary_is_plain_json_with_null_for_undefined() -> None:
    occurrence = OCCURRENCE.copy()
    occurrence[:, 1] = False
    plain = score(occurrence=occurrence).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["rows"] == 40
    assert plain["per_au"]["AU12"]["f1_val"] is None
    assert plain["per_au"]["AU12"]["positives"] == 0
    assert plain["per_au"]["AU25"]["threshold_val"] == 0.7


def test_decode_reads_occurrence_at_its_cutpoint_and_sums_levels_to_intensity() -> None:
    levels = np.array([[[0.9, 0.8, 0.4, 0.2, 0.1]]])
    prediction = decode(levels, (1.0, 2.0, 3.0, 4.0, 5.0), occurrence_min=2.0)
    assert prediction.probability.tolist() == [[0.8]]
    assert prediction.intensity is not None
    assert prediction.intensity.tolist() == [[pytest.approx(2.4)]]


def test_decode_of_one_level_is_occurrence_alone() -> None:
    prediction = decode(np.array([[[0.3]]]), (), occurrence_min=2.0)
    assert prediction.probability.tolist() == [[0.3]]
    assert prediction.intensity is None


def test_sides_join_by_the_larger_probability_and_the_larger_intensity() -> None:
    both = Prediction(probability=np.array([[0.9, 0.5, 0.2]]), intensity=np.array([[1.5, 2.0, 3.5]]))
    merged = merge_sides(both, ("AU12_L", "AU4", "AU12_R"), {"AU4": [1], "AU12": [0, 2]})
    assert merged.probability.tolist() == [[0.5, 0.9]]
    assert merged.intensity is not None
    assert merged.intensity.tolist() == [[2.0, 3.5]]
    alone = merge_sides(Prediction(probability=both.probability, intensity=None), ("a", "b", "c"), {"a": [0]})
    assert (alone.probability.tolist(), alone.intensity) == ([[0.9]], None)


def test_tuned_threshold_separates_the_classes_and_is_undefined_for_one_class() -> None:
    probability = np.array([[0.1, 0.1], [0.2, 0.9], [0.6, 0.1], [0.7, 0.9]])
    occurrence = np.array([[False, True], [False, True], [True, True], [True, True]])
    observed = np.ones((4, 2), np.bool_)
    cuts = tuned_thresholds(Prediction(probability=probability, intensity=None), occurrence, observed)
    assert 0.2 < cuts[0] <= 0.6
    assert math.isnan(cuts[1])
