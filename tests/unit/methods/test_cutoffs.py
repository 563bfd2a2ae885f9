from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.methods.cutoffs import CutoffRule

STEPS, ROWS = 80, 32  # an epoch
RATES = torch.tensor([[0.01], [0.05], [0.1], [0.3]])
LEVEL_RATES = torch.tensor([[0.12, 0.08, 0.05, 0.02, 0.005], [0.4, 0.3, 0.2, 0.1, 0.05]])


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def cutoff_rule(
    prior: Tensor,
    *,
    p_cutoff: Any = 0.95,
    n_cutoff: Any = None,
    coverage: float | None = None,
    rank_consistent: bool = True,
) -> CutoffRule:
    rule = CutoffRule(
        p_cutoff=p_cutoff,
        n_cutoff=n_cutoff,
        coverage=coverage,
        rank_consistent=rank_consistent,
    )
    rule.bind(("AU1", "AU12", "AU6", "AU15")[: len(prior)], prior, key="method.x")
    return rule


def spreading(prior: Tensor, *, epochs: int) -> Iterator[Tensor]:
    """Logits as training makes them: near the base rates first, then far apart; their levels nearly in order."""
    generator = torch.Generator().manual_seed(0)
    for step in range(epochs * STEPS):
        spread = 0.4 + 2.6 * (1 - math.exp(-step / STEPS))
        shown = torch.randn(ROWS, len(prior), 1, generator=generator)
        noise = 0.2 * torch.randn(ROWS, *prior.shape, generator=generator)
        yield torch.logit(prior) - 0.5 * spread + spread * (shown + noise)


def epochs_of_shares(rule: CutoffRule, batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Shares labelled on and off, (epochs, A, L)."""
    found = []
    for logits in batches:
        labels = rule.label(logits)
        on, off = labels.confident & (labels.target > 0.5), labels.confident & (labels.target <= 0.5)
        found.append(torch.stack([on.float().mean(dim=0), off.float().mean(dim=0)]))
        rule.follow(logits)
    on, off = torch.stack(found).unflatten(0, (-1, STEPS)).mean(dim=1).unbind(dim=1)
    return on, off


def test_cutoffs_per_au() -> None:
    rule = cutoff_rule(torch.full((2, 1), 0.1), p_cutoff={"AU12": 0.8, "others": 0.95})
    torch.testing.assert_close(rule.positive.sigmoid(), torch.tensor([[0.95], [0.8]]))
    torch.testing.assert_close(rule.negative.sigmoid(), torch.tensor([[0.05], [0.2]]))


def test_cutoffs_of_absent_aus_can_be_stricter() -> None:
    rule = cutoff_rule(torch.full((2, 5), 0.1), p_cutoff=0.8, n_cutoff={"AU12": 0.98, "others": 0.9})
    torch.testing.assert_close(rule.positive.sigmoid(), torch.full((2, 5), 0.8))
    torch.testing.assert_close(rule.negative.sigmoid()[:, 4], torch.tensor([0.1, 0.02]))


def test_fixed_cutoffs_do_not_move_and_keep_nothing() -> None:
    rule = cutoff_rule(torch.tensor([[0.5]]))
    rule.follow(torch.full((4, 1, 1), 9.0))
    assert rule.positive.item() == pytest.approx(logit(0.95))
    assert set(rule.state_dict()) == {"positive", "negative"}


def test_an_adaptive_step_by_hand() -> None:
    rule = cutoff_rule(torch.tensor([[0.25]]), p_cutoff=0.9, coverage=0.8)
    rule.follow(torch.arange(-4.0, 5.0).reshape(9, 1, 1))
    # On: 2/9 found, 0.8 * 0.25 wanted; 0.5 * sqrt(0.2 * 0.8) of the difference is added: 0.196, the 2nd of 9 + 1.
    # Off: 2/9 found, 0.6 wanted: 0.6 + 0.5 * sqrt(0.6 * 0.4) * 0.378 = 0.693, the 7th from below.
    assert (rule.positive.item(), rule.negative.item()) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("coverage", "prior", "rank_consistent"),
    [
        *((coverage, RATES, True) for coverage in (0.15, 0.3, 0.5, 1.0)),
        *((coverage, LEVEL_RATES, True) for coverage in (0.15, 0.8, 1.0)),
        (0.5, LEVEL_RATES, False),
    ],
    ids=lambda value: f"{value.shape[1]} levels" if isinstance(value, Tensor) else str(value),
)
def test_the_promised_shares_hold_while_predictions_spread(
    coverage: float, prior: Tensor, rank_consistent: bool
) -> None:
    rule = cutoff_rule(prior, coverage=coverage, rank_consistent=rank_consistent)
    on, off = epochs_of_shares(rule, spreading(prior, epochs=2))
    assert (on - coverage * prior)[1:].abs().max() < 0.01
    assert (off - coverage * (1 - prior))[1:].abs().max() < 0.015
    assert (on + off - coverage).abs().mean() < 0.015  # the first epoch included


@pytest.mark.parametrize(("name", "values"), [("equal", [-3.0]), ("near 0 or 1", [-9.0, -9.0, -9.0, 9.0])])
def test_the_promised_shares_hold_for_predictions_without_an_order(name: str, values: list[float]) -> None:
    rule = cutoff_rule(RATES, coverage=0.5)
    batch = torch.tensor(values).repeat(ROWS // len(values)).reshape(ROWS, 1, 1).expand(-1, len(RATES), -1)
    on, off = epochs_of_shares(rule, [batch] * (6 * STEPS))
    torch.testing.assert_close(on[2:].mean(dim=0), 0.5 * RATES, atol=0.02, rtol=0)
    torch.testing.assert_close(off[2:].mean(dim=0), 0.5 * (1 - RATES), atol=0.02, rtol=0)


@pytest.mark.parametrize("rank_consistent", [True, False])
def test_full_coverage_labels_every_entry_from_the_second_step_on(rank_consistent: bool) -> None:
    rule = cutoff_rule(LEVEL_RATES, coverage=1.0, rank_consistent=rank_consistent)
    batches = [logits.bfloat16() for logits in spreading(LEVEL_RATES, epochs=1)]  # many of them equal
    rule.follow(batches[0])
    for logits in batches[1:]:
        labels = rule.label(logits)
        assert labels.confident.all()
        assert not rank_consistent or (labels.target.diff(dim=-1) <= 0).all()
        rule.follow(logits)


def test_adaptive_labels_of_levels_are_in_order() -> None:
    rule = cutoff_rule(LEVEL_RATES, coverage=0.9)
    for logits in spreading(LEVEL_RATES, epochs=1):
        labels = rule.label(logits)
        on, off = labels.confident & (labels.target > 0.5), labels.confident & (labels.target <= 0.5)
        assert (on.int().diff(dim=-1) <= 0).all()
        assert (off.int().diff(dim=-1) >= 0).all()
        rule.follow(logits)


def test_a_rare_au_is_labelled_by_its_surest_predictions() -> None:
    prior = torch.tensor([[0.02]])
    generator = torch.Generator().manual_seed(0)
    rule, right, labelled = cutoff_rule(prior, coverage=0.5), 0, 0
    for _ in range(10 * STEPS):
        shows = torch.rand(ROWS, 1, 1, generator=generator) < 0.02
        logits = torch.randn(ROWS, 1, 1, generator=generator) + torch.where(shows, 2.0, -4.0)
        labels = rule.label(logits)
        on = labels.confident & (labels.target > 0.5)
        right, labelled = right + int((on & shows).sum()), labelled + int(on.sum())
        rule.follow(logits)
    assert labelled / (10 * STEPS * ROWS) == pytest.approx(0.01, abs=0.002)
    assert right / labelled > 0.98  # a share of every batch would label most batches without such a face


@pytest.mark.parametrize("steps", [3, 60])
def test_cutoffs_continue_from_a_checkpoint_bit_for_bit(steps: int) -> None:
    batches = list(spreading(RATES, epochs=1))
    rule = cutoff_rule(RATES, coverage=0.3)
    for logits in batches[:steps]:
        rule.follow(logits)
    resumed = cutoff_rule(RATES, coverage=0.3)
    resumed.load_state_dict(copy.deepcopy(rule.state_dict()))
    for logits in batches[steps:]:
        rule.follow(logits)
        resumed.follow(logits)
    assert torch.equal(resumed.positive, rule.positive)
    assert torch.equal(resumed.negative, rule.negative)


def test_a_batch_larger_than_the_window_counts_whole_and_keeps_its_latest_rows() -> None:
    rule, other = (cutoff_rule(RATES, coverage=0.3) for _ in range(2))
    rows = torch.randn(5000, 4, 1, generator=torch.Generator().manual_seed(0))
    rule.follow(rows)
    other.follow(rows[-1024:])
    assert rule.coverage is not None
    assert other.coverage is not None
    assert torch.equal(rule.coverage.window, other.coverage.window)
    found = (rows >= logit(0.95)).float().mean(dim=0)
    torch.testing.assert_close(
        rule.coverage.missed[0], 0.5 * (0.3 * RATES * (1 - 0.3 * RATES)).sqrt() * (0.3 * RATES - found)
    )
