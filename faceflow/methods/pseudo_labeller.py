"""From a teacher's logits to pseudo-labels: relative to the subject, at the labels' base rates, hard or soft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from faceflow.checks import check_choice, check_number
from faceflow.errors import ConfigError
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.base_rates import BaseRateShift, base_rates
from faceflow.methods.consistency import PseudoLabels
from faceflow.methods.cutoffs import CutoffRule
from faceflow.methods.objective import Batch
from faceflow.methods.subject_centres import SubjectCentres

CENTERS = ("none", "subject")
TARGETS = ("hard", "soft")


class PseudoLabeller(nn.Module):
    """Pseudo-labels of a teacher.

    Centred logits are 0 at rest for every AU; unless the cutoffs adapt to that, they are shifted to the base rates of
    the labels.

    Args:
        p_cutoff, n_cutoff, coverage, rank_consistent: see `CutoffRule`.
        center: "subject" subtracts the logits of the subject at rest, see `SubjectCentres`; or "none".
        targets: "hard" labels confident entries; "soft" uses the probabilities of all entries as targets, shifted to
            the base rates (Tarvainen and Valpola 2017, arXiv:1703.01780).
        prior_strength: weight of the mean base rate of all AUs in each base rate, in faces, see `base_rates`.

    Raises:
        ConfigError: a value out of range, or a coverage with soft targets.
    """

    def __init__(
        self,
        *,
        p_cutoff: float | Mapping[str, float],
        n_cutoff: float | Mapping[str, float] | None,
        coverage: float | None,
        rank_consistent: bool,
        center: str,
        targets: str,
        prior_strength: float,
    ) -> None:
        super().__init__()
        self.cutoffs = CutoffRule(
            p_cutoff=p_cutoff, n_cutoff=n_cutoff, coverage=coverage, rank_consistent=rank_consistent
        )
        check_choice(center, key="center", options=CENTERS)
        check_choice(targets, key="targets", options=TARGETS)
        check_number(prior_strength, key="prior_strength", expected="faces >= 0", valid=lambda x: x >= 0)
        if targets == "soft" and coverage is not None:
            raise ConfigError(f"coverage: expected null with targets=soft, which labels all entries, got {coverage}")
        self.centred, self.soft, self.prior_strength = center == "subject", targets == "soft", prior_strength
        self.shifted = coverage is None and (self.centred or self.soft)

    def bind(self, aus: Sequence[str], counts: LabelCounts, *, key: str) -> None:
        """Build the state; `key` is the config key of the method, for messages."""
        rates = base_rates(counts, strength=self.prior_strength)
        self.cutoffs.bind(aus, rates, key=key)
        self.base_rate = float(rates.mean())
        self.centres = SubjectCentres(counts.origins, rates.shape) if self.centred else None
        self.shift = BaseRateShift(rates) if self.shifted else None

    @torch.no_grad()
    def prepared(self, teacher: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Logits of each stream from which labels are made.

        Args:
            teacher: stream -> logits (B, A, L); all are shifted by what brings "unlabeled" to the base rates.
            batch: batch of these rows.
        """
        logits = dict(teacher)
        if self.centres is not None:
            for stream, rows in teacher.items():
                self.centres.follow(rows, batch[stream]["origin"])
            logits = {stream: self.centres(rows, batch[stream]["origin"]) for stream, rows in teacher.items()}
        if self.shift is not None:
            self.shift.follow(logits["unlabeled"])
            logits = {stream: self.shift(rows) for stream, rows in logits.items()}
        return logits

    @torch.no_grad()
    def label(self, logits: Tensor) -> PseudoLabels:
        """Label prepared logits, (B, A, L)."""
        if not self.soft:
            return self.cutoffs.label(logits)
        probability = logits.float().sigmoid()
        if self.cutoffs.rank_consistent:
            probability = probability.cummin(dim=-1).values
        return PseudoLabels(target=probability, confident=torch.ones_like(probability, dtype=torch.bool))

    def follow(self, logits: Tensor) -> None:
        """Adapt cutoffs to prepared logits of the unlabelled stream; call it after the step has used the old ones."""
        self.cutoffs.follow(logits)
