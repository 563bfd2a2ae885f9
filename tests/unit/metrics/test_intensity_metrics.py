from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchmetrics.functional as torch_metrics

from faceflow.metrics.intensity import intensity_metrics
from faceflow.metrics.occurrence import macro

Array = npt.NDArray[Any]
KEYS = ["icc", "pcc", "mse", "mae", "rmse", "smape", "wmape", "mape", "observed"]


def one_au(prediction: list[float], truth: list[float]) -> dict[str, float]:
    y_hat, y = np.array(prediction)[:, None], np.array(truth)[:, None]
    return {key: v[0] for key, v in intensity_metrics(y_hat, y, np.ones(y.shape, dtype=bool)).items()}


def random_epoch(seed: int, frames: int = 300, aus: int = 4) -> tuple[Array, Array, Array]:
    """Mostly neutral ordinal labels, clamped noisy predictions, about a fifth of the labels missing."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(6, (frames, aus), p=[0.6, 0.15, 0.1, 0.08, 0.05, 0.02]).astype(np.float64)
    prediction = np.clip(0.7 * truth + rng.normal(0.3, 0.8, truth.shape), 0, 5)
    return prediction, truth, rng.random(truth.shape) < 0.8


def icc_3_1_by_anova(y_hat: Array, y: Array) -> float:
    """ICC(3,1) from the sums of squares of the two-way ANOVA, frames by k = 2 raters."""
    ratings = np.stack([y_hat, y], axis=1)
    n, k = ratings.shape
    mean = ratings.mean()
    total = np.sum((ratings - mean) ** 2)
    between_frames = k * np.sum((ratings.mean(axis=1) - mean) ** 2)
    between_raters = n * np.sum((ratings.mean(axis=0) - mean) ** 2)
    bms = between_frames / (n - 1)
    ems = (total - between_frames - between_raters) / ((n - 1) * (k - 1))
    return float((bms - ems) / (bms + (k - 1) * ems))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Deviations of the truth (mean 1.5) -1.5 -.5 .5 1.5, of the prediction (mean 2) -1 -1 0 2:
        # squares 5 and 6, products 1.5 + .5 + 0 + 3 = 5.
        ("icc", 10 / 11),  # 2·5 / (5 + 6)
        ("pcc", 5 / math.sqrt(30)),  # 5 / √(5·6)
        ("mse", 1 / 2),  # (1 + 0 + 0 + 1) / 4
        ("mae", 1 / 2),
        ("rmse", math.sqrt(1 / 2)),
        ("smape", 4 / 7),  # (2·1/1 + 0 + 0 + 2·1/7) / 4
        ("wmape", 1 / 3),  # (1 + 1) / (0 + 1 + 2 + 3)
        ("mape", 1 / 9),  # (0/1 + 0/2 + 1/3) / 3, the neutral frame left out
        ("observed", 4),
    ],
)
def test_metric_equals_value_worked_out_by_hand(name: str, expected: float) -> None:
    assert one_au([1, 1, 2, 4], [0, 1, 2, 3])[name] == pytest.approx(expected, abs=1e-15)


def test_metrics_come_in_the_documented_order_as_one_value_per_au() -> None:
    result = intensity_metrics(*random_epoch(0))
    assert list(result) == KEYS
    assert all(values.shape == (4,) for values in result.values())
    assert result["observed"].dtype.kind == "i"


@pytest.mark.parametrize("seed", range(5))
def test_icc_equals_two_way_anova(seed: int) -> None:
    prediction, truth, observed = random_epoch(seed)
    icc = intensity_metrics(prediction, truth, observed)["icc"]
    for au in range(truth.shape[1]):
        seen = observed[:, au]
        expected = icc_3_1_by_anova(prediction[seen, au], truth[seen, au])
        assert icc[au] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_torchmetrics_on_missing_labels(seed: int) -> None:
    prediction, truth, observed = random_epoch(seed)
    result = intensity_metrics(prediction, truth, observed)
    for au in range(truth.shape[1]):
        seen = observed[:, au]
        y_hat, y = torch.from_numpy(prediction[seen, au]), torch.from_numpy(truth[seen, au])
        expected = {
            "pcc": torch_metrics.pearson_corrcoef(y_hat, y),
            "mse": torch_metrics.mean_squared_error(y_hat, y),
            "mae": torch_metrics.mean_absolute_error(y_hat, y),
            "rmse": torch_metrics.mean_squared_error(y_hat, y, squared=False),
            "smape": torch_metrics.symmetric_mean_absolute_percentage_error(y_hat, y),
            "wmape": torch_metrics.weighted_mean_absolute_percentage_error(y_hat, y),
            "mape": torch_metrics.mean_absolute_percentage_error(y_hat[y > 0], y[y > 0]),
        }
        for name, value in expected.items():
            assert result[name][au] == pytest.approx(float(value), abs=1e-6), name


def test_icc_ignores_a_constant_bias_but_not_scale() -> None:
    truth = [0.0, 1.0, 2.0, 3.0]
    assert one_au([2, 3, 4, 5], truth)["icc"] == 1.0
    assert one_au([0, 2, 4, 6], truth)["icc"] == pytest.approx(0.8)  # 2·10 / (20 + 5)
    assert one_au([0, 2, 4, 6], truth)["pcc"] == pytest.approx(1.0)


def test_inverted_prediction_gives_minus_one() -> None:
    result = one_au([3, 2, 1, 0], [0, 1, 2, 3])
    assert (result["icc"], result["pcc"]) == pytest.approx((-1.0, -1.0))


def test_agreement_survives_a_large_common_offset() -> None:
    prediction, truth, observed = random_epoch(1)
    prediction = np.round(prediction * 64) / 64
    plain = intensity_metrics(prediction, truth, observed)
    shifted = intensity_metrics(prediction + 2.0**30, truth + 2.0**30, observed)
    for name in ("icc", "pcc"):
        np.testing.assert_allclose(shifted[name], plain[name], atol=1e-12)


@pytest.mark.parametrize("frames", [2, 3, 10, 1000, 12345])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1.7, 3.3])
def test_constant_values_have_exactly_zero_variance(frames: int, constant: float) -> None:
    flat, varied = [constant] * frames, [float(i % 2) for i in range(frames)]
    assert one_au(flat, varied)["icc"] == 0.0  # a constant prediction agrees with nothing
    assert math.isnan(one_au(varied, flat)["icc"])  # nobody shows the AU
    assert math.isnan(one_au(flat, varied)["pcc"])
    assert math.isnan(one_au(varied, flat)["pcc"])
    assert math.isnan(one_au(flat, flat)["icc"])
    assert math.isnan(one_au(flat, flat)["pcc"])


def test_relative_errors_of_an_au_that_is_always_neutral() -> None:
    result = one_au([0.0, 0.5], [0.0, 0.0])
    assert math.isnan(result["wmape"])
    assert math.isnan(result["mape"])
    assert result["smape"] == 1.0  # (0 where both are 0, 2·.5/.5) / 2
    assert result["mae"] == 0.25


def test_single_frame_has_errors_but_no_agreement() -> None:
    result = one_au([2.0], [3.0])
    assert (result["mse"], result["mape"]) == pytest.approx((1.0, 1 / 3))
    assert math.isnan(result["icc"])


@pytest.mark.parametrize("missing", [np.nan, np.inf, -1.0, 9.0])
def test_missing_entries_have_no_influence(missing: float) -> None:
    prediction, truth, observed = random_epoch(2)
    plain = intensity_metrics(prediction, truth, observed)
    other = intensity_metrics(np.where(observed, prediction, missing), np.where(observed, truth, missing), observed)
    for key in KEYS:
        np.testing.assert_array_equal(plain[key], other[key])


def test_order_of_frames_has_no_influence() -> None:
    arrays = random_epoch(3)
    order = np.random.default_rng(0).permutation(len(arrays[0]))
    plain, shuffled = intensity_metrics(*arrays), intensity_metrics(*(array[order] for array in arrays))
    for key in KEYS:
        np.testing.assert_allclose(plain[key], shuffled[key], rtol=1e-13)


def test_au_without_an_observed_frame_is_nan_and_left_out_of_the_macro() -> None:
    prediction, truth, observed = random_epoch(4, aus=3)
    observed[:, 1] = False
    result = intensity_metrics(prediction, truth, observed)
    for key in KEYS[:-1]:
        np.testing.assert_array_equal(np.isnan(result[key]), [False, True, False])
    assert result["observed"][1] == 0
    assert macro(result["icc"]) == pytest.approx((result["icc"][0] + result["icc"][2]) / 2)


def test_epoch_without_frames_is_nan_throughout() -> None:
    result = intensity_metrics(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2), dtype=bool))
    assert all(np.isnan(result[key]).all() for key in KEYS[:-1])


def test_float32_predictions_and_integer_labels_are_accepted() -> None:
    prediction, truth, observed = random_epoch(5)
    prediction = np.round(prediction * 64) / 64
    plain = intensity_metrics(prediction, truth, observed)
    narrow = intensity_metrics(prediction.astype(np.float32), truth.astype(np.int8), observed)
    for key in KEYS:
        np.testing.assert_array_equal(plain[key], narrow[key])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": np.zeros((2, 1))}, "one shape"),
        ({"prediction": np.zeros(2)}, r"\(N, A\)"),
        ({"observed": np.ones((2, 2))}, "bool"),
        ({"prediction": np.array([[0.1, np.nan], [0.2, 0.3]])}, "prediction is not finite"),
        ({"truth": np.array([[0.1, np.inf], [0.2, 0.3]])}, "truth is not finite"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change: dict[str, Array], message: str) -> None:
    arguments: dict[str, Any] = {
        "prediction": np.zeros((2, 2)),
        "truth": np.zeros((2, 2)),
        "observed": np.ones((2, 2), dtype=bool),
    }
    with pytest.raises(AssertionError, match=message):
        intensity_metrics(**(arguments | change))
