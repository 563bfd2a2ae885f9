from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from faceflow.errors import ConfigError
from faceflow.evaluation.scoring import EpochPredictions, SplitScorer
from faceflow.metrics.au_scores import Prediction
from tests.helpers.networks import label_table, network_spec

NAN = math.nan


def probabilities(*columns: list[float]) -> Prediction:
    """Occurrence probabilities (N, A) from one list per AU."""
    return Prediction(probability=np.array(columns, np.float64).T, intensity=None)


def collect(*batches: tuple[list[int], list[float]]) -> tuple[list[int], list[float]]:
    """Row numbers and probabilities of batches of (rows, probabilities) of one AU."""
    collected = EpochPredictions()
    for rows, values in batches:
        collected.update(torch.tensor(rows), torch.logit(torch.tensor(values)).reshape(-1, 1, 1))
    index, probability = collected.compute()
    return index.tolist(), probability.flatten().tolist()


def test_predictions_come_back_in_the_order_of_rows() -> None:
    index, values = collect(([3, 0], [0.3, 0.1]), ([2, 1], [0.2, 0.7]))
    assert index == [0, 1, 2, 3]
    assert values == pytest.approx([0.1, 0.7, 0.2, 0.3])


def test_rows_that_a_sampler_repeats_count_once_and_the_first_one_counts() -> None:
    index, values = collect(([1, 4], [0.1, 0.4]), ([4, 1], [0.9, 0.8]), ([6], [0.6]))
    assert index == [1, 4, 6]
    assert values == pytest.approx([0.1, 0.4, 0.6])


def test_single_row_of_a_single_au_keeps_its_axes() -> None:
    collected = EpochPredictions()
    collected.update(torch.tensor([0]), torch.zeros(1, 1, 1))
    index, probability = collected.compute()
    assert (index.shape, probability.shape) == ((1,), (1, 1, 1))


def test_reset_forgets_the_epoch() -> None:
    collected = EpochPredictions()
    collected.update(torch.tensor([0]), torch.zeros(1, 2, 5))
    collected.compute()
    collected.reset()
    collected.update(torch.tensor([7]), torch.zeros(1, 2, 5))
    index, probability = collected.compute()
    assert index.tolist() == [7]
    assert probability.shape == (1, 2, 5)


def test_half_precision_logits_are_kept_in_single_precision() -> None:
    collected = EpochPredictions()
    collected.update(torch.tensor([0]), torch.full((1, 1, 1), 2.944, dtype=torch.bfloat16))
    assert collected.compute()[1].item() == pytest.approx(1 / (1 + math.exp(-2.9375)), abs=1e-6)  # 2.944 in bf16


def test_metric_of_an_epoch_is_not_the_mean_over_batches() -> None:
    truth, predicted = [1, 1, 1, 0, 0, 0, 0, 1], [0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9, 0.9]
    table = label_table("faces", {"AU1": [5.0 * t for t in truth]})
    spec = network_spec(aus=("AU1",))
    evaluation = SplitScorer([table], spec).score(np.arange(8), probabilities(predicted), {"AU1": 0.5})["faces"]
    halves = [f1_score(truth[part], [p >= 0.5 for p in predicted[part]]) for part in (slice(0, 4), slice(4, 8))]
    assert halves == pytest.approx([1.0, 0.4])
    assert evaluation.summary["f1_0.5"] == pytest.approx(8 / 11)  # 4 hits, 3 false alarms, nothing missed
    assert evaluation.summary["f1_0.5"] != pytest.approx(sum(halves) / 2)


def test_every_data_set_is_scored_alone_and_pooled() -> None:
    spec = network_spec(aus=("AU1", "AU12"))
    first = label_table("first", {"AU1": [0.0, 5, 5], "AU12": [5.0, 0, 5]})
    second = label_table("second", {"AU1": [5.0, 0]})  # without AU12
    scorer = SplitScorer([first, second], spec)
    predicted = probabilities([0.9, 0.1, 0.9, 0.9, 0.1], [0.9, 0.1, 0.9, 0.9, 0.9])
    found = scorer.score(np.arange(5), predicted, {"AU1": 0.5, "AU12": 0.5})
    assert list(found) == ["first", "second", "all"]
    assert [found[name].rows for name in found] == [3, 2, 5]
    assert found["first"].columns["f1_0.5"].tolist() == pytest.approx([0.5, 1.0])
    assert found["second"].columns["f1_0.5"].tolist() == pytest.approx([1.0, NAN], nan_ok=True)
    assert found["second"].columns["observed"].tolist() == [2, 0]
    assert found["all"].columns["f1_0.5"].tolist() == pytest.approx([4 / 6, 1.0])


def test_one_data_set_is_its_own_pool() -> None:
    scorer = SplitScorer([label_table("faces", {"AU1": [0.0, 5.0]})], network_spec(aus=("AU1",)))
    assert [scored.name for scored in scorer.sets] == ["faces"]
    found = scorer.score(np.arange(2), probabilities([0.1, 0.9]), {"AU1": 0.5})
    named = scorer.named("val", found)
    assert named["val/f1_val"] == 1.0
    assert named["val/f1_val/AU1"] == 1.0


def test_names_put_the_data_set_before_the_metric_except_in_the_pool() -> None:
    tables = [label_table(name, {"AU1": [0.0, 5.0]}) for name in ("first", "second")]
    scorer = SplitScorer(tables, network_spec(aus=("AU1",)))
    named = scorer.named("val", scorer.score(np.arange(4), probabilities([0.1, 0.9, 0.9, 0.1]), {"AU1": 0.5}))
    assert (named["val/first/f1_val"], named["val/second/f1_val"], named["val/f1_val"]) == (1.0, 0.0, 0.5)


def test_data_set_with_the_name_of_the_pool_is_refused() -> None:
    tables = [label_table(name, {"AU1": [0.0, 5.0]}) for name in ("all", "other")]
    with pytest.raises(ConfigError, match=r"^data\.sources: expected no data set named 'all'"):
        SplitScorer(tables, network_spec(aus=("AU1",)))


SIDED = network_spec(aus=("AU12_L", "AU12_R"))
LEFT, RIGHT = [0.9, 0.2, 0.1, 0.3], [0.1, 0.8, 0.2, 0.4]


def test_sides_are_scored_apart_where_they_are_labelled() -> None:
    table = label_table("sides", {"AU12_L": [5.0, 0, 0, 5], "AU12_R": [0.0, 5, 0, 0]})
    thresholds = {"AU12_L": 0.25, "AU12_R": 0.5, "AU12": 0.01}
    found = SplitScorer([table], SIDED).score(np.arange(4), probabilities(LEFT, RIGHT), thresholds)["sides"]
    assert found.aus == ("AU12_L", "AU12_R")
    assert found.columns["f1_val"].tolist() == [1.0, 1.0]
    assert found.columns["f1_0.5"].tolist() == pytest.approx([2 / 3, 1.0])


def test_sides_join_by_the_larger_probability_where_labels_do_not_tell_them() -> None:
    table = label_table("joined", {"AU12": [5.0, 5, 0, 0]})
    scorer = SplitScorer([table], SIDED)
    prediction, _ = scorer.merged(scorer.pooled, np.arange(4), probabilities(LEFT, RIGHT))
    assert prediction.probability[:, 0].tolist() == [0.9, 0.8, 0.2, 0.4]
    found = scorer.score(np.arange(4), probabilities(LEFT, RIGHT), {"AU12": 0.5, "AU12_L": 0.01})["joined"]
    assert found.aus == ("AU12",)
    assert found.columns["f1_val"].tolist() == [1.0]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_an_au_given_joined_and_by_side_is_scored_by_the_joined_estimate(order: tuple[int, ...]) -> None:
    names = [("AU12", "AU12_L", "AU12_R")[index] for index in order]
    values = [([0.9, 0.1], [0.1, 0.9], [0.2, 0.8])[index] for index in order]
    scorer = SplitScorer([label_table("joined", {"AU12": [5.0, 0]})], network_spec(aus=tuple(names)))
    evaluation = scorer.score(np.arange(2), probabilities(*values), {"AU12": 0.5})["joined"]
    assert evaluation.aus == ("AU12",)
    assert evaluation.summary["f1_val"] == 1.0


def test_thresholds_are_tuned_for_sides_and_for_their_joined_au() -> None:
    table = label_table("sides", {"AU12_L": [5.0, 0, 0, 5], "AU12_R": [0.0, 5, 0, 0]})
    cuts = SplitScorer([table], SIDED).tune(np.arange(4), probabilities(LEFT, RIGHT))
    assert set(cuts) == {"AU12", "AU12_L", "AU12_R"}
    assert 0.2 < cuts["AU12_L"] < 0.4
    assert 0.4 < cuts["AU12_R"] < 0.8
    assert 0.2 < cuts["AU12"] < 0.8  # joined: 0.9, 0.8, 0.2, 0.4 with labels 1, 1, 0, 1


def test_a_data_set_without_sides_does_not_cost_the_others_their_side_thresholds() -> None:
    sided = label_table("sided", {"AU12_L": [5.0, 0, 0, 5], "AU12_R": [0.0, 5, 0, 0]})
    whole = label_table("whole", {"AU12": [5.0, 5, 0, 0]})
    scorer, rows = SplitScorer([sided, whole], SIDED), np.arange(8)
    predicted = probabilities([*LEFT, 0.95, 0.2, 0.9, 0.9], [*RIGHT, 0.95, 0.9, 0.9, 0.9])
    cuts = scorer.tune(rows, predicted)
    alone = SplitScorer([sided], SIDED).tune(np.arange(4), probabilities(LEFT, RIGHT))
    # `whole` knows that a side is absent, never that it is present: its negatives must not move the cuts.
    assert [cuts[au] for au in SIDED.aus] == pytest.approx([alone[au] for au in SIDED.aus], abs=0.1)  # bagged
    found = scorer.score(rows, predicted, cuts)
    assert found["sided"].aus == SIDED.aus
    assert np.isfinite(found["sided"].columns["f1_val"]).all()
    assert found["whole"].aus == ("AU12",)
    assert found["all"].aus == ("AU12",)


def test_au_of_one_class_has_no_threshold_and_no_score_at_it() -> None:
    spec = network_spec(aus=("AU1", "AU12"))
    table = label_table("faces", {"AU1": [0.0, 5, 0, 5], "AU12": [0.0, 0, 0, NAN]})
    scorer, rows = SplitScorer([table], spec), np.arange(4)
    predicted = probabilities([0.1, 0.9, 0.1, 0.9], [0.1, 0.9, 0.1, 0.9])
    cuts = scorer.tune(rows, predicted)
    assert set(cuts) == {"AU1"}
    evaluation = scorer.score(rows, predicted, cuts)["faces"]
    assert evaluation.columns["f1_val"].tolist() == pytest.approx([1.0, NAN], nan_ok=True)
    assert evaluation.summary["f1_val"] == 1.0


def test_without_thresholds_only_their_metrics_are_undefined() -> None:
    scorer = SplitScorer([label_table("faces", {"AU1": [0.0, 5.0]})], network_spec(aus=("AU1",)))
    summary = scorer.score(np.arange(2), probabilities([0.1, 0.9]), {})["faces"].summary
    assert math.isnan(summary["f1_val"])
    assert (summary["f1_0.5"], summary["auroc"]) == (1.0, 1.0)


def test_rows_that_were_not_predicted_do_not_count() -> None:
    scorer = SplitScorer([label_table("faces", {"AU1": [5.0, 0, 5, 5]})], network_spec(aus=("AU1",)))
    evaluation = scorer.score(np.array([1, 2]), probabilities([0.1, 0.9]), {"AU1": 0.5})["faces"]
    assert evaluation.columns["observed"].tolist() == [2]
    assert evaluation.summary["f1_val"] == 1.0
    assert set(scorer.tune(np.array([0, 2]), probabilities([0.1, 0.9]))) == set()  # positives only


def test_ordinal_network_is_scored_on_intensity_too() -> None:
    spec = network_spec(aus=("AU12",), levels=5)
    scorer = SplitScorer([label_table("faces", {"AU12": [0.0, 2, 5]})], spec)
    codes = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0.5]], np.float64)[:, None, :]
    evaluation = scorer.score(np.arange(3), scorer.decode(codes), {"AU12": 0.5})["faces"]
    assert evaluation.columns["mae"].tolist() == pytest.approx([0.5 / 3])
    assert evaluation.summary["f1_val"] == 1.0


def test_centred_thresholds_and_constants_are_those_of_validation_subjects() -> None:
    logits = np.array([-3.0] * 6 + [-1, 0], np.float64)
    table = label_table("faces", {"AU1": ([0.0] * 6 + [5.0] * 2) * 2})
    subjects = np.repeat(["a", "b"], 8)
    predicted = probabilities((1 / (1 + np.exp(-np.concatenate([logits, logits + 4])))).tolist())
    scorer = SplitScorer([dataclasses.replace(table, subjects=subjects)], network_spec(aus=("AU1",)))
    found = scorer.centring(np.arange(16), predicted)
    assert found is not None
    assert (found.logit["AU1"], found.intensity) == (pytest.approx(-1), {})  # of -3 and 1
    # Centred, both rest at -1 and show AU1 at 1 and 2: any cut between -1 and 1 finds all, also in resamples without 1.
    assert 1 / (1 + math.exp(1)) < found.thresholds["AU1"] < 1 / (1 + math.exp(-1.5))
    assert found.thresholds == scorer.tune(np.arange(16), scorer.centre(np.arange(16), predicted, found.usual(["AU1"])))


def test_without_subjects_or_tuned_thresholds_nothing_is_centred() -> None:
    table = label_table("faces", {"AU1": [0.0, 5.0] * 8})
    one = dataclasses.replace(table, subjects=np.repeat(["a"], 16))
    spec, predicted = network_spec(aus=("AU1",)), probabilities([0.1, 0.9] * 8)
    unknown = dataclasses.replace(one, has_subjects=False)
    assert SplitScorer([one], spec).centring(np.arange(16), predicted) is not None
    assert SplitScorer([unknown], spec).centring(np.arange(16), predicted) is None
    assert SplitScorer([one], spec, threshold=0.5).centring(np.arange(16), predicted) is None
    assert SplitScorer([table], spec).centring(np.arange(16), predicted) is None, "an image of each"
