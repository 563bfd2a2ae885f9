from __future__ import annotations

import pytest
import torch

from faceflow.methods.base_rates import BaseRateShift, base_rates
from tests.helpers.networks import label_counts


def test_without_strength_a_rate_is_that_of_the_labels() -> None:
    assert base_rates(label_counts([[2], [5]], [10, 20]), strength=0).flatten().tolist() == pytest.approx([0.2, 0.25])


def test_a_strength_draws_rates_to_their_mean_as_so_many_faces_would() -> None:
    # mean 0.3; (1 + 30 * 0.3) / 40 and (5 + 30 * 0.3) / 40
    found = base_rates(label_counts([[1], [5]], [10, 10]), strength=30).flatten().tolist()
    assert found == pytest.approx([10 / 40, 14 / 40])


def test_an_au_that_nobody_labelled_has_no_rate_of_its_own() -> None:
    assert base_rates(label_counts([[4], [0]], [10, 0]), strength=0).flatten().tolist() == pytest.approx([0.4, 0.0])


def test_the_mean_probability_is_the_base_rate() -> None:
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([[0.02], [0.5], [0.3]])
    shift = BaseRateShift(rates)
    rows = []
    for _ in range(40):
        rows.append(torch.randn(32, 3, 1, generator=generator) * 4 + 3)
        shift.follow(rows[-1])
    latest = torch.cat(rows)[-1024:]
    torch.testing.assert_close(shift(latest).sigmoid().mean(dim=0), rates, atol=1e-4, rtol=0)


def test_an_au_that_never_occurs_keeps_a_finite_shift() -> None:
    shift = BaseRateShift(torch.tensor([[0.0]]))
    for _ in range(50):
        shift.follow(torch.full((8, 1, 1), 30.0))
    assert torch.isfinite(shift(torch.zeros(1, 1, 1))).all()
    assert shift(torch.full((1, 1, 1), 30.0)).sigmoid().item() == pytest.approx(1e-3, rel=0.01)


def test_the_shift_continues_from_a_checkpoint() -> None:
    generator = torch.Generator().manual_seed(1)
    batches = [torch.randn(5, 2, 1, generator=generator) for _ in range(4)]
    unbroken, before, after = (BaseRateShift(torch.full((2, 1), 0.2)) for _ in range(3))
    for rows in batches:
        unbroken.follow(rows)
    for rows in batches[:2]:
        before.follow(rows)
    after.load_state_dict(before.state_dict())
    for rows in batches[2:]:
        after.follow(rows)
    assert torch.equal(after.shift, unbroken.shift)
