from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import ConfigError
from faceflow.losses.bce import BCE
from faceflow.methods.consistency import Cutoffs, consistency, pseudo_labels
from faceflow.methods.cutoffs import CutoffRule
from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.objective import TEACHER
from faceflow.models.network import AUNetwork, NetworkOutput
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


def fixmatch(**changes: Any) -> FixMatch:
    settings: dict[str, Any] = {
        "criterion": bce(),
        "p_cutoff": 0.95,
        "n_cutoff": None,
        "coverage": None,
        "cutoff_step": 0.1,
        "rank_consistent": True,
        "lambda_u": 1.0,
        "ramp_up": 0.0,
        "teacher": "student",
    }
    objective = FixMatch(**(settings | changes))
    objective.bind(NETWORK, label_counts([[2], [5]], [10, 10]))
    return objective


def cutoff_rule(p_cutoff: Any, *, n_cutoff: Any = None, coverage: float | None, step: float) -> CutoffRule:
    return CutoffRule(p_cutoff=p_cutoff, n_cutoff=n_cutoff, coverage=coverage, step=step, key="method.fixmatch")


def outputs(**logits: Tensor) -> dict[str, NetworkOutput]:
    """From labeled_weak=..., unlabeled_strong=..., teacher=... (of unlabeled/weak)."""
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


def test_levels_may_be_labelled_one_by_one() -> None:
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
        outputs(labeled_weak=labeled, unlabeled_strong=strong, teacher=weak), batch(torch.ones(1, 2, 1), rows=1)
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
        outputs(labeled_weak=z, unlabeled_strong=z, teacher=z), batch(torch.ones(8, 2, 1), rows=8)
    )
    assert terms["consistency_loss"].item() == 0.0


def test_lambda_zero_reads_no_unlabelled_view() -> None:
    objective = fixmatch(lambda_u=0)
    assert objective.views == {"labeled/weak"}
    terms = objective(outputs(labeled_weak=torch.zeros(1, 2, 1)), batch(torch.ones(1, 2, 1)))
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
    terms = fixmatch()(outputs(labeled_weak=labeled, unlabeled_strong=z, teacher=z), rows)
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
    objective(outputs(labeled_weak=weak, unlabeled_strong=weak, teacher=weak), rows)
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


def test_quality_is_left_out_without_hidden_labels() -> None:
    objective = fixmatch()
    z = torch.full((2, 2, 1), 9.0)
    objective(outputs(labeled_weak=z, unlabeled_strong=z, teacher=z), batch(torch.ones(2, 2, 1), rows=2))
    assert not any("precision" in name or "recall" in name for name in objective.statistics(("AU1", "AU12")))


def test_cutoffs_per_au() -> None:
    rule = cutoff_rule({"AU12": 0.8, "others": 0.95}, coverage=None, step=0.1)
    rule.bind(("AU1", "AU12"), torch.full((2, 1), 0.1))
    torch.testing.assert_close(rule.current().positive.sigmoid(), torch.tensor([[0.95], [0.8]]))
    torch.testing.assert_close(rule.current().negative.sigmoid(), torch.tensor([[0.05], [0.2]]))


def test_cutoffs_of_absent_aus_may_be_stricter() -> None:
    rule = cutoff_rule(0.8, n_cutoff={"AU12": 0.98, "others": 0.9}, coverage=None, step=0.1)
    rule.bind(("AU1", "AU12"), torch.full((2, 5), 0.1))
    torch.testing.assert_close(rule.current().positive.sigmoid(), torch.full((2, 5), 0.8))
    torch.testing.assert_close(rule.current().negative.sigmoid()[:, 4], torch.tensor([0.1, 0.02]))


def test_an_adaptive_step_by_hand() -> None:
    rule = cutoff_rule(0.9, coverage=0.8, step=0.1)
    rule.bind(("AU1",), torch.tensor([[0.25]]))
    rule.follow(probabilities([[[0.95]], [[0.92]], [[0.05]], [[0.6]], [[0.4]]]))
    # on: 2/5 found, 0.8 * 0.25 = 1/5 wanted, so the cutoff rises; off: 1/5 found, 0.8 * 0.75 = 3/5 wanted
    assert rule.current().positive.item() == pytest.approx(logit(0.9) + 0.1 * (2 - 1))
    assert rule.current().negative.item() == pytest.approx(-logit(0.9) - 0.1 * (1 / 3 - 1))


@pytest.mark.parametrize("base_rate", [0.05, 0.5])
def test_adaptive_cutoffs_find_the_shares_of_the_base_rate(base_rate: float) -> None:
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(20_000, 1, 1, generator=generator) - 1
    rule = cutoff_rule(0.95, coverage=0.6, step=0.02)
    rule.bind(("AU1",), torch.tensor([[base_rate]]))
    for rows in z[:16_000].split(16):
        rule.follow(rows)
    cut = rule.current()
    assert (z >= cut.positive).float().mean().item() == pytest.approx(0.6 * base_rate, rel=0.15)
    negatives = (z <= cut.negative).float().mean().item()
    assert negatives == pytest.approx(0.6 * (1 - base_rate), rel=0.15)


def test_adaptive_cutoffs_stay_on_their_side_of_one_half() -> None:
    rule = cutoff_rule(0.95, coverage=1.0, step=1.0)
    rule.bind(("AU1",), torch.tensor([[0.5]]))
    for _ in range(20):
        rule.follow(torch.zeros(4, 1, 1))
    assert rule.current().positive.sigmoid().item() == pytest.approx(0.51)
    assert rule.current().negative.sigmoid().item() == pytest.approx(0.49)


def test_fixed_cutoffs_do_not_move() -> None:
    rule = cutoff_rule(0.95, coverage=None, step=1.0)
    rule.bind(("AU1",), torch.tensor([[0.5]]))
    rule.follow(torch.full((4, 1, 1), 9.0))
    assert rule.current().positive.item() == pytest.approx(logit(0.95))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p_cutoff": 0.5}, r"method\.fixmatch\.p_cutoff: expected a probability in \(0.5, 1\], got 0.5"),
        ({"p_cutoff": 1.1}, r"p_cutoff: expected .*, got 1.1"),
        ({"p_cutoff": {"AU12": 0.3}}, r"p_cutoff\.AU12: .*, got 0.3"),
        ({"p_cutoff": {"AU12": 0.9}}, "expected a value for AU1"),
        ({"p_cutoff": {"AU99": 0.9, "others": 0.9}}, "expected AUs of the network, got 'AU99'"),
        ({"n_cutoff": 0.4}, r"method\.fixmatch\.n_cutoff: expected a probability in \(0.5, 1\], got 0.4"),
        ({"coverage": 0}, r"coverage: expected a share in \(0, 1\]"),
        ({"cutoff_step": 0}, r"cutoff_step: expected logits in \(0, 1\]"),
        ({"lambda_u": -1}, "lambda_u: expected a weight >= 0, got -1"),
        ({"ramp_up": 2}, "ramp_up: expected a share of the run"),
        ({"teacher": "oracle"}, "teacher: expected student or ema, got 'oracle'"),
        ({"rank_consistent": "yes"}, "rank_consistent: expected true or false"),
    ],
)
def test_values_out_of_range_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fixmatch(**changes)
