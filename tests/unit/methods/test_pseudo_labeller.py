from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import ConfigError
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.pseudo_labeller import PseudoLabeller
from tests.helpers.networks import label_counts

RATES = [[0.3, 0.1], [0.2, 0.05]]
RULES: dict[str, dict[str, Any]] = {
    "cutoffs": {"coverage": None, "targets": "hard"},
    "coverage": {"coverage": 0.4, "targets": "hard"},
    "soft": {"coverage": None, "targets": "soft"},
}


def labeller(rule: str = "cutoffs", **changes: Any) -> PseudoLabeller:
    settings = {"p_cutoff": 0.8, "n_cutoff": 0.98, "rank_consistent": True, "center": "subject", "prior_strength": 0}
    found = PseudoLabeller(**(settings | RULES[rule] | changes))
    counts = label_counts([[30, 10], [20, 5]], [100, 100])
    found.bind(("AU1", "AU12"), dataclasses.replace(counts, origins=3), key="method.fixmatch")
    return found


def step(labels: PseudoLabeller, logits: Tensor, origin: Tensor) -> Tensor:
    """Targets of a step, -1 where there is none."""
    prepared = labels.prepared({"unlabeled": logits}, {"unlabeled": {"origin": origin}})["unlabeled"]
    target, confident = labels.label(prepared)
    labels.follow(prepared)
    return torch.where(confident, target, -1.0)


def faces(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(24, 2, 2, generator=generator), torch.randint(0, 3, (24,), generator=generator)


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_on_all_logits_of_a_subject_changes_no_pseudo_label(rule: str) -> None:
    plain, moved = labeller(rule), labeller(rule)
    offset = torch.tensor([[4.0, 1.5], [-3.0, 2.5]])
    told = 0
    for seed in range(8):
        logits, origin = faces(seed)
        expected = step(plain, logits, origin)
        found = step(moved, logits + offset * (origin == 1)[:, None, None], origin)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
        told += int((expected >= 0).sum())
    assert told > 100


def test_without_centring_such_a_constant_changes_them() -> None:
    plain, moved = labeller(center="none"), labeller(center="none")
    logits, origin = faces(0)
    assert not torch.equal(
        step(plain, logits, origin), step(moved, logits + 4.0 * (origin == 1)[:, None, None], origin)
    )


def test_soft_targets_are_ordinal_probabilities_at_the_base_rates() -> None:
    soft = labeller("soft", rank_consistent=False)
    targets = torch.cat([step(soft, *faces(seed)) for seed in range(60)])[-960:]
    torch.testing.assert_close(targets.mean(dim=0), torch.tensor(RATES), atol=0.03, rtol=0)
    ordinal = step(labeller("soft"), *faces(0))
    assert (ordinal[..., 1] <= ordinal[..., 0]).all()


def test_logits_as_they_are_meet_the_cutoffs_where_nothing_is_centred() -> None:
    plain = labeller(center="none")
    assert (plain.centres, plain.shift) == (None, None)
    logits = torch.tensor([[[1.5, -5.0], [0.0, -4.0]]])  # sigmoid(1.5) = 0.82, sigmoid(-4) = 0.018
    assert step(plain, logits, torch.tensor([0])).tolist() == [[[1, 0], [-1, 0]]]


def test_both_streams_are_centred_by_the_same_faces() -> None:
    labels = labeller()
    streams = {"unlabeled": torch.zeros(3, 2, 2), "labeled": torch.full((1, 2, 2), 8.0)}
    origins = {"unlabeled": {"origin": torch.tensor([0, 0, 0])}, "labeled": {"origin": torch.tensor([0])}}
    prepared = labels.prepared(streams, origins)
    assert labels.shift is not None
    torch.testing.assert_close(prepared["labeled"] - labels.shift.shift, torch.full((1, 2, 2), 8.0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"center": "person"}, "center: expected none or subject, got 'person'"),
        ({"targets": "sharp"}, "targets: expected hard or soft, got 'sharp'"),
        ({"prior_strength": -1}, "prior_strength: expected faces >= 0, got -1"),
        ({"targets": "soft", "coverage": 0.5}, "coverage: expected null with targets=soft"),
    ],
)
def test_invalid_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        labeller(**wrong)


def test_a_strength_of_the_prior_moves_the_wanted_rates() -> None:
    counts = LabelCounts(torch.tensor([[10], [30]]), torch.tensor([100, 100]), origins=1)
    found = PseudoLabeller(
        p_cutoff=0.9, n_cutoff=None, coverage=0.5, rank_consistent=False, center="none", targets="hard",
        prior_strength=100,
    )  # fmt: skip
    found.bind(("AU1", "AU12"), counts, key="method.fixmatch")
    assert found.cutoffs.coverage is not None
    assert found.cutoffs.coverage.wanted[0].flatten().tolist() == pytest.approx([0.5 * 0.15, 0.5 * 0.25])
