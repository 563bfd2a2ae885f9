from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import ConfigError
from faceflow.losses.bce import BCE
from faceflow.methods.consistency import Cutoffs, PseudoLabels, consistency, pseudo_labels
from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.objective import TEACHER
from faceflow.methods.pseudo_statistics import PseudoLabelStatistics
from faceflow.models.network import AUNetwork, NetworkOutput
from tests.helpers.methods import UNCENTRED
from tests.helpers.networks import label_counts, network_spec

NETWORK = AUNetwork(network_spec())


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def cutoffs(p: float) -> Cutoffs:
    return Cutoffs(torch.tensor([[logit(p)]]), torch.tensor([[-logit(p)]]))


def probabilities(values: Any) -> Tensor:
    return torch.logit(torch.tensor(values))


def bce() -> BCE:
    return BCE(weighting="none", max_weight=1.0)


def fixmatch(aus: tuple[str, ...] = ("AU1", "AU12"), **changes: Any) -> FixMatch:
    settings: dict[str, Any] = {
        "criterion": bce(),
        "p_cutoff": 0.95,
        "n_cutoff": None,
        "coverage": None,
        "rank_consistent": True,
        **UNCENTRED,
        "lambda_u": 1.0,
        "ramp_up": 0.0,
        "teacher": "student",
    }
    objective = FixMatch(**(settings | changes))
    network = NETWORK if aus == NETWORK.spec.aus else AUNetwork(network_spec(aus=aus))
    objective.bind(network, label_counts([[2], [5]][: len(aus)], [10, 10][: len(aus)]))
    return objective


def outputs(**logits: Tensor) -> dict[str, NetworkOutput]:
    """From labeled=..., unlabeled_strong=..., teacher=... (of unlabeled/weak)."""
    names = {"teacher": f"{TEACHER}unlabeled/weak"}
    return {names.get(name, name.replace("_", "/")): NetworkOutput(value) for name, value in logits.items()}


def batch(target: Tensor, *, hidden: Tensor | None = None, rows: int = 0) -> dict[str, dict[str, Tensor]]:
    hidden = torch.zeros(rows, *target.shape[1:]) if hidden is None else hidden
    known = torch.full(hidden.shape[:2], bool(rows == 0))
    return {
        "labeled": {"target": target, "mask": torch.ones(target.shape[:2], dtype=torch.bool)},
        "unlabeled": {"target": hidden, "mask": known},
    }


def test_only_confident_predictions_become_labels_on_both_sides() -> None:
    labels = pseudo_labels(probabilities([[[0.97], [0.9]], [[0.02], [0.5]]]), cutoffs(0.95), rank_consistent=True)
    assert labels.confident.tolist() == [[[True], [False]], [[True], [False]]]
    assert labels.target[labels.confident].tolist() == [1.0, 0.0]


def test_two_sided_cutoffs_are_the_binary_softmax_of_the_paper() -> None:
    z = torch.randn(500, 3, 1, generator=torch.Generator().manual_seed(0)) * 4
    softmax = torch.cat([torch.zeros_like(z), z], dim=2).softmax(dim=2)
    highest, label = softmax.max(dim=2)
    found = pseudo_labels(z, cutoffs(0.95), rank_consistent=False)
    assert torch.equal(found.confident[..., 0], highest >= 0.95)
    assert torch.equal(found.target[..., 0][highest >= 0.95], label[highest >= 0.95].float())


@pytest.mark.parametrize(
    ("p", "confident", "target"),
    [
        ((0.6, 0.97, 0.5, 0.02, 0.01), (True, True, False, True, True), (1, 1, None, 0, 0)),
        ((0.02, 0.5, 0.97, 0.1, 0.1), (False, False, False, True, True), (None, None, None, 0, 0)),
        ((0.99, 0.6, 0.5, 0.4, 0.3), (True, False, False, False, False), (1, None, None, None, None)),
    ],
)
def test_levels_are_labelled_in_order_and_contradictions_are_unsure(
    p: tuple[float, ...], confident: tuple[bool, ...], target: tuple[int | None, ...]
) -> None:
    labels = pseudo_labels(probabilities([[p]]), cutoffs(0.95), rank_consistent=True)
    assert tuple(labels.confident[0, 0].tolist()) == confident
    known = [value for value in target if value is not None]
    assert labels.target[labels.confident].tolist() == known


def test_levels_can_be_labelled_one_by_one() -> None:
    labels = pseudo_labels(probabilities([[[0.02, 0.5, 0.97]]]), cutoffs(0.95), rank_consistent=False)
    assert labels.confident.tolist() == [[[True, False, True]]]


def test_consistency_is_the_mean_over_all_entries() -> None:
    weak = probabilities([[[0.97], [0.9]], [[0.02], [0.5]]])
    strong = torch.tensor([[[1.0], [2.0]], [[-1.0], [3.0]]])
    labels = pseudo_labels(weak, cutoffs(0.95), rank_consistent=True)
    # two of four entries count: -log sigmoid(1) for the positive, -log(1 - sigmoid(-1)) for the negative
    expected = 2 * math.log(1 + math.exp(-1)) / 4
    assert consistency(bce(), strong, labels).item() == pytest.approx(expected)


def test_gradient_of_the_strong_view_by_hand_and_none_into_the_weak_one() -> None:
    weak = probabilities([[[0.97], [0.9]]]).requires_grad_()
    strong = torch.tensor([[[1.0], [2.0]]], requires_grad=True)
    labeled = torch.zeros(1, 2, 1, requires_grad=True)
    objective = fixmatch(lambda_u=2.0)
    terms = objective(
        outputs(labeled=labeled, unlabeled_strong=strong, teacher=weak), batch(torch.ones(1, 2, 1), rows=1)
    )
    assert terms["task_loss"].item() == pytest.approx(math.log(2))
    assert terms["consistency_loss"].item() == pytest.approx(2 * math.log(1 + math.exp(-1)) / 2)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert weak.grad is None
    # 2 * (sigmoid(1) - 1) / 2 entries; the unsure entry gets exactly zero
    assert strong.grad is not None
    assert strong.grad[0, 0].item() == pytest.approx(-1 / (1 + math.e))
    assert strong.grad[0, 1].item() == 0.0


def test_p_cutoff_of_one_equals_supervised_training() -> None:
    z = torch.randn(8, 2, 1) * 20
    terms = fixmatch(p_cutoff=1.0)(
        outputs(labeled=z, unlabeled_strong=z, teacher=z), batch(torch.ones(8, 2, 1), rows=8)
    )
    assert terms["consistency_loss"].item() == 0.0


def test_lambda_zero_reads_no_unlabelled_view() -> None:
    objective = fixmatch(lambda_u=0)
    assert objective.views == {"labeled"}
    terms = objective(outputs(labeled=torch.zeros(1, 2, 1)), batch(torch.ones(1, 2, 1)))
    assert list(terms) == ["task_loss"]


def test_a_batch_permutation_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    weak, strong = (4 * torch.randn(6, 2, 5, generator=generator) for _ in range(2))
    order = torch.tensor([3, 1, 5, 0, 2, 4])

    def loss(rows: Tensor) -> float:
        labels = pseudo_labels(weak[rows], cutoffs(0.8), rank_consistent=True)
        return consistency(bce(), strong[rows], labels).item()

    assert loss(order) == pytest.approx(loss(torch.arange(6)), rel=1e-6)


def test_missing_labels_get_exactly_zero_gradient() -> None:
    labeled = torch.zeros(2, 2, 1, requires_grad=True)
    rows = batch(torch.tensor([[[1.0], [math.nan]], [[0.0], [1.0]]]), rows=1)
    rows["labeled"]["mask"] = torch.tensor([[True, False], [True, True]])
    z = torch.zeros(1, 2, 1)
    terms = fixmatch()(outputs(labeled=labeled, unlabeled_strong=z, teacher=z), rows)
    terms["task_loss"].backward()
    assert labeled.grad is not None
    assert labeled.grad[0, 1].item() == 0.0
    assert labeled.grad[0, 0].item() == pytest.approx(-0.5 / 3)


def test_weight_ramps_up_linearly() -> None:
    objective = fixmatch(lambda_u=2.0, ramp_up=0.2)
    weights = []
    for progress in (0.0, 0.05, 0.2, 0.9):
        objective.progress = progress
        weights.append(objective.weight)
    assert weights == pytest.approx([0.0, 0.5, 2.0, 2.0])


def test_bf16_logits_are_compared_in_fp32() -> None:
    z = torch.tensor([[[2.953125]]], dtype=torch.bfloat16)  # above logit(0.95) = 2.9444, its bf16 sigmoid is below
    assert z.sigmoid().item() < 0.95
    assert pseudo_labels(z, cutoffs(0.95), rank_consistent=True).confident.all()


def test_epoch_statistics_by_hand() -> None:
    objective = fixmatch()
    weak = probabilities([[[0.99], [0.97]], [[0.98], [0.01]], [[0.5], [0.02]], [[0.01], [0.6]]])
    hidden = torch.tensor([[[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [1.0]], [[0.0], [0.0]]])
    rows = batch(torch.ones(4, 2, 1), hidden=hidden)
    objective(outputs(labeled=weak, unlabeled_strong=weak, teacher=weak), rows)
    found = objective.statistics(("AU1", "AU12"))
    assert found["mask_positive/AU1"] == 0.5
    assert found["mask_negative/AU1"] == 0.25
    assert found["mask_positive/AU12"] == 0.25
    assert found["mask_negative/AU12"] == 0.5
    assert found["pseudo_precision/AU1"] == 0.5  # rows 1 and 2 are labelled on, row 1 is right
    assert found["pseudo_recall/AU1"] == 0.5  # of rows 1 and 3
    assert found["pseudo_negative_precision/AU12"] == 0.5  # rows 2 and 3 are labelled off, row 2 is right
    assert found["pseudo_positive_rate/AU1"] == pytest.approx(2 / 3)
    assert found["mask_positive"] == 0.375
    assert found["labeled_positive_rate"] == pytest.approx(0.35)
    assert objective.statistics(("AU1", "AU12")) == {}


def test_epoch_statistics_of_a_single_au() -> None:
    objective = fixmatch(aus=("AU12",))
    weak = probabilities([[[0.99]], [[0.98]], [[0.01]], [[0.5]]])
    hidden = torch.tensor([[[1.0]], [[0.0]], [[0.0]], [[1.0]]])
    objective(outputs(labeled=weak, unlabeled_strong=weak, teacher=weak), batch(torch.ones(4, 1, 1), hidden=hidden))
    found = objective.statistics(("AU12",))
    assert (found["mask_positive"], found["mask_negative/AU12"], found["pseudo_precision/AU12"]) == (0.5, 0.25, 0.5)


def test_counts_of_a_long_epoch_stay_exact() -> None:
    statistics = PseudoLabelStatistics(1)
    statistics.entries += 2**24  # where fp32 stops counting by ones
    on = PseudoLabels(torch.ones(1, 1, 1), torch.ones(1, 1, 1, dtype=torch.bool))
    for _ in range(3):
        statistics.update(on, torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.bool))
    assert statistics.entries.item() == 2**24 + 3


def test_quality_is_left_out_without_hidden_labels() -> None:
    objective = fixmatch()
    z = torch.full((2, 2, 1), 9.0)
    objective(outputs(labeled=z, unlabeled_strong=z, teacher=z), batch(torch.ones(2, 2, 1), rows=2))
    assert not any("precision" in name or "recall" in name for name in objective.statistics(("AU1", "AU12")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p_cutoff": 0.5}, r"^p_cutoff: expected a probability in \(0.5, 1\], got 0.5"),
        ({"p_cutoff": 1.1}, r"p_cutoff: expected .*, got 1.1"),
        ({"p_cutoff": {"AU12": 0.3}}, r"p_cutoff\.AU12: .*, got 0.3"),
        ({"p_cutoff": {"AU12": 0.9}}, "expected a value for AU1"),
        ({"p_cutoff": {"AU99": 0.9, "others": 0.9}}, "expected AUs of the network, got 'AU99'"),
        ({"n_cutoff": 0.4}, r"^n_cutoff: expected a probability in \(0.5, 1\], got 0.4"),
        ({"coverage": 0}, r"coverage: expected a share in \(0, 1\]"),
        ({"lambda_u": -1}, "lambda_u: expected a weight >= 0, got -1"),
        ({"ramp_up": 2}, "ramp_up: expected a share of the run"),
        ({"teacher": "oracle"}, "teacher: expected student or ema, got 'oracle'"),
        ({"rank_consistent": "yes"}, "rank_consistent: expected true or false"),
    ],
)
def test_values_out_of_range_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fixmatch(**changes)


def test_unlabelled_faces_can_be_free_of_the_weights_of_the_labels() -> None:
    z, sure = torch.ones(1, 2, 1), probabilities([[[0.99], [0.01]]])
    outcome = {}
    for weighted in (True, False):
        criterion = BCE(weighting="inverse_frequency", max_weight=10.0)
        objective = fixmatch(criterion=criterion, weighted=weighted)
        outcome[weighted] = objective(
            outputs(labeled=z, unlabeled_strong=z, teacher=sure), batch(torch.ones(1, 2, 1), rows=1)
        )
    # rates 0.2 and 0.5: weights 10/7 and 4/7; losses of 1: softplus(-1) of the positive, softplus(1) of the negative
    on, off = math.log1p(math.exp(-1)), math.log1p(math.e)
    assert outcome[True]["consistency_loss"].item() == pytest.approx((10 * on + 4 * off) / 14)
    assert outcome[False]["consistency_loss"].item() == pytest.approx((on + off) / 2)
    assert outcome[True]["task_loss"].item() == pytest.approx(outcome[False]["task_loss"].item())
