"""From which probability on a prediction becomes a pseudo-label: fixed, per AU, or following the base rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from faceflow.errors import ConfigError, suggest
from faceflow.methods.consistency import Cutoffs

OTHERS = "others"  # key of all AUs that are not named
_BOUNDS = (0.51, 0.999)  # probabilities between which adaptive cutoffs stay, on either side of one half
_RAREST = 1e-3  # base rate; a level that never occurs would divide by zero


class CutoffRule(nn.Module):
    """Cutoffs of every AU and level.

    With a coverage, they adapt until the pseudo-labels have the base rates of the true labels: the share
    coverage * base rate of the entries is labelled as on, the share coverage * (1 - base rate) as off. Rare AUs are
    otherwise hardly ever labelled as on, and the network learns to leave them out. Every step moves a cutoff by
    `step` * (share found / share wanted - 1) logits, which finds the quantile over all faces; a running mean of the
    quantiles of batches would miss it where probabilities are all near 0 or 1.

    Source: class-aware cutoffs of CAP (Xie et al. 2023, arXiv:2305.02795), one per polarity; stochastic
    approximation of a quantile (Robbins and Monro 1951).

    Args:
        p_cutoff: confidence in (0.5, 1] that makes a label on, or one per AU: {AU12: 0.9, others: 0.95}; where the
            adaptive ones start.
        n_cutoff: confidence that makes a label off; None is `p_cutoff`. Of a rare AU nearly every face is off with
            a probability of 0.95, whatever it shows.
        coverage: share of the entries in (0, 1] that get a pseudo-label, or None for fixed cutoffs.
        step: of adaptive cutoffs, in logits, above 0.
        key: config key of the method, for messages.
    """

    positive: Tensor
    negative: Tensor
    prior: Tensor

    def __init__(
        self,
        *,
        p_cutoff: float | Mapping[str, float],
        n_cutoff: float | Mapping[str, float] | None,
        coverage: float | None,
        step: float,
        key: str,
    ) -> None:
        super().__init__()
        self.confidence = {"p_cutoff": _by_au(p_cutoff, f"{key}.p_cutoff")}
        self.confidence["n_cutoff"] = (
            self.confidence["p_cutoff"] if n_cutoff is None else _by_au(n_cutoff, f"{key}.n_cutoff")
        )
        if coverage is not None:
            check_share(coverage, key=f"{key}.coverage", lowest=0, expected="a share in (0, 1], or null")
        check_share(step, key=f"{key}.cutoff_step", lowest=0, expected="logits in (0, 1]")
        self.coverage, self.step, self.key = coverage, step, key

    def bind(self, aus: Sequence[str], prior: Tensor) -> None:
        """Lay out the cutoffs; `prior` are the base rates of the labelled faces, (A, L)."""
        self.register_buffer("positive", self._logits("p_cutoff", aus).expand(prior.shape).clone())
        self.register_buffer("negative", -self._logits("n_cutoff", aus).expand(prior.shape))
        self.register_buffer("prior", prior.float().clamp(_RAREST, 1 - _RAREST), persistent=False)

    def _logits(self, name: str, aus: Sequence[str]) -> Tensor:
        """Cutoffs of all AUs, (A, 1)."""
        values = self.confidence[name]
        if unknown := sorted(values.keys() - {*aus, OTHERS}):
            raise ConfigError(
                f"{self.key}.{name}: expected AUs of the network, got '{unknown[0]}'; "
                f"{suggest(unknown[0], [*aus, OTHERS])}"
            )
        if missing := [au for au in aus if au not in values and OTHERS not in values]:
            raise ConfigError(
                f"{self.key}.{name}: expected a value for {missing[0]}, got none; add it, or {OTHERS}: 0.95"
            )
        wanted = [values[au] if au in values else values[OTHERS] for au in aus]
        return torch.logit(torch.tensor(wanted, dtype=torch.float64)).float().unsqueeze(1)

    def current(self) -> Cutoffs:
        """Cutoffs of this step."""
        return Cutoffs(self.positive, self.negative)

    @torch.no_grad()
    def follow(self, logits: Tensor) -> None:
        """Move adaptive cutoffs by what they label of a batch (B, A, L); after the step has used the old ones."""
        if self.coverage is None:
            return
        z = logits.float()
        shares = torch.stack([(z >= self.positive).float().mean(dim=0), (z <= self.negative).float().mean(dim=0)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(shares)
            shares /= torch.distributed.get_world_size()
        wanted = self.coverage * torch.stack([self.prior, 1 - self.prior])
        up, down = self.step * (shares / wanted - 1)
        low, high = (math.log(p / (1 - p)) for p in _BOUNDS)
        self.positive.add_(up).clamp_(low, high)
        self.negative.sub_(down).clamp_(-high, -low)


def check_share(value: object, *, key: str, lowest: float, expected: str) -> None:
    """Raise ConfigError unless `lowest` < value <= 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest < value <= 1:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def _by_au(confidence: float | Mapping[str, float], key: str) -> dict[str, float]:
    """Check confidences and name them by AU."""
    values = dict(confidence) if isinstance(confidence, Mapping) else {OTHERS: confidence}
    for au, value in values.items():
        check_share(value, key=key if au == OTHERS else f"{key}.{au}", lowest=0.5, expected="a probability in (0.5, 1]")
    return values
