"""Probabilities from which a prediction becomes a pseudo-label: fixed, per AU, or following the base rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from faceflow.checks import check_boolean, check_number
from faceflow.errors import ConfigError, suggest
from faceflow.losses.processes import gathered
from faceflow.methods.consistency import Cutoffs, PseudoLabels, pseudo_labels
from faceflow.methods.coverage import Coverage

OTHERS = "others"  # key of all AUs that are not named


class CutoffRule(nn.Module):
    """Cutoffs of every AU and level.

    With a coverage, they adapt until the pseudo-labels have the base rates of the true labels, see `Coverage`.
    Otherwise rare AUs are hardly ever labelled as on, and the network learns to ignore them.

    Source: class-aware cutoffs of CAP (Xie et al. 2023, arXiv:2305.02795), one per polarity.

    Args:
        p_cutoff: confidence in (0.5, 1] from which a label is on, or one per AU: {AU12: 0.9, others: 0.95}. Adaptive
            cutoffs use it in the first step.
        n_cutoff: confidence from which a label is off; None for `p_cutoff`. For a rare AU nearly every face is off
            with a probability of 0.95, whatever it shows.
        coverage: share of the entries in (0, 1] that get a pseudo-label, or None for fixed cutoffs.
        rank_consistent: whether labels of several levels must be ordinal, see `pseudo_labels`.
    """

    positive: Tensor
    negative: Tensor

    def __init__(
        self,
        *,
        p_cutoff: float | Mapping[str, float],
        n_cutoff: float | Mapping[str, float] | None,
        coverage: float | None,
        rank_consistent: bool,
    ) -> None:
        super().__init__()
        self.confidence = {"p_cutoff": _by_au(p_cutoff, "p_cutoff")}
        self.confidence["n_cutoff"] = self.confidence["p_cutoff"] if n_cutoff is None else _by_au(n_cutoff, "n_cutoff")
        if coverage is not None:
            expected = "a share in (0, 1], or null"
            check_number(coverage, key="coverage", expected=expected, valid=lambda x: 0 < x <= 1)
        check_boolean(rank_consistent, key="rank_consistent")
        self.share, self.rank_consistent = coverage, rank_consistent

    def bind(self, aus: Sequence[str], prior: Tensor, *, key: str) -> None:
        """Build the cutoffs.

        Args:
            aus: AUs of the network.
            prior: base rates of the labelled faces, (A, L).
            key: config key of the method, for messages.

        Raises:
            ConfigError: confidences name other AUs, or lack one.
        """
        self.register_buffer("positive", self._logits("p_cutoff", aus, key).expand(prior.shape).clone())
        self.register_buffer("negative", -self._logits("n_cutoff", aus, key).expand(prior.shape))
        self.coverage = None
        if self.share is not None:
            self.coverage = Coverage(self.share, prior, rank_consistent=self.rank_consistent)

    def _logits(self, name: str, aus: Sequence[str], key: str) -> Tensor:
        """Cutoffs of all AUs, (A, 1)."""
        values = self.confidence[name]
        if unknown := sorted(values.keys() - {*aus, OTHERS}):
            raise ConfigError(
                f"{key}.{name}: expected AUs of the network, got '{unknown[0]}'; {suggest(unknown[0], [*aus, OTHERS])}"
            )
        if missing := [au for au in aus if au not in values and OTHERS not in values]:
            raise ConfigError(f"{key}.{name}: expected a value for {missing[0]}, got none; add it, or {OTHERS}: 0.95")
        wanted = [values[au] if au in values else values[OTHERS] for au in aus]
        return torch.logit(torch.tensor(wanted, dtype=torch.float64)).float().unsqueeze(1)

    def label(self, logits: Tensor) -> PseudoLabels:
        """Label confident entries by the cutoffs of this step; logits (B, A, L).

        Contradicting levels are left unsure by fixed cutoffs. Adaptive cutoffs, which have to reach a share, label them
        as on: the rarer label would otherwise be short.
        """
        cutoffs = Cutoffs(self.positive, self.negative)
        return pseudo_labels(logits, cutoffs, rank_consistent=self.rank_consistent, prefer_on=self.coverage is not None)

    @torch.no_grad()
    def follow(self, logits: Tensor) -> None:
        """Adapt the cutoffs to a batch (B, A, L) of every process; call it after the step has used the old ones."""
        if self.coverage is not None:
            everywhere = gathered(logits)
            cutoffs = self.coverage.follow(everywhere, self.label(everywhere))
            self.positive.copy_(cutoffs.positive)
            self.negative.copy_(cutoffs.negative)


def _by_au(confidence: float | Mapping[str, float], key: str) -> dict[str, float]:
    """Check confidences and name them by AU."""
    values = dict(confidence) if isinstance(confidence, Mapping) else {OTHERS: confidence}
    for au, value in values.items():
        name, expected = key if au == OTHERS else f"{key}.{au}", "a probability in (0.5, 1]"
        check_number(value, key=name, expected=expected, valid=lambda x: 0.5 < x <= 1)
    return values
