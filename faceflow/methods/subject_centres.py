"""Logits relative to what the teacher says of the same subject at rest.

A network that learned from few subjects gives every face a score for whom it shows. Pseudo-labels made of such logits
teach that "this subject has AU14", and training confirms it. Relative to the subject's own median only what changes on
a face is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceflow.losses.processes import gathered

_WINDOW = 32  # latest faces of an origin, of whose logits the centre is the median


class SubjectCentres(nn.Module):
    """Logits minus the median of the latest ones of their origin, per AU and level.

    An origin is a subject, or what stands in for one, see `faceflow.data.groups.Groups`. Faces count from the first
    on, so that a constant that is added to all logits of an origin never changes what comes out.

    Args:
        origins: how many there are.
        shape: counts of AUs and levels, (A, L).
    """

    latest: Tensor  # logits, (O, W + 1, A, L); what a batch has too many of goes to the last place
    seen: Tensor  # faces so far, (O,)

    def __init__(self, origins: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("latest", torch.zeros(origins, _WINDOW + 1, *shape))
        self.register_buffer("seen", torch.zeros(origins, dtype=torch.int64))

    @torch.no_grad()
    def follow(self, logits: Tensor, origin: Tensor) -> None:
        """Take in rows (B, A, L) of every process, whose origins are (B,); before they are centred."""
        logits, origin = gathered(logits.float()), gathered(origin)
        same = origin.unsqueeze(0) == origin.unsqueeze(1)
        earlier, later = same.tril(-1).sum(dim=1), same.triu(1).sum(dim=1)
        place = torch.where(later < _WINDOW, (self.seen[origin] + earlier) % _WINDOW, _WINDOW)
        self.latest[origin, place] = logits
        self.seen.index_add_(0, origin, torch.ones_like(origin))

    def forward(self, logits: Tensor, origin: Tensor) -> Tensor:
        """Centre rows (B, A, L) of origins (B,) that were followed."""
        empty = torch.arange(_WINDOW, device=origin.device) >= self.seen[origin].unsqueeze(1)
        latest = self.latest[origin, :_WINDOW].masked_fill(empty[..., None, None], torch.nan)
        return logits.float() - latest.nanmedian(dim=1).values
