"""Logits relative to the teacher's logits of the same subject at rest.

A network trained on few subjects scores every face partly by its identity. Pseudo-labels made from such logits teach
that "this subject has AU14", and training confirms it. After the subject's median is subtracted, only changes on the
face remain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceflow.losses.processes import gathered

_WINDOW = 32  # latest faces of an origin; the centre is the median of their logits


class SubjectCentres(nn.Module):
    """Logits minus the median of the latest logits of their origin, per AU and level.

    An origin is a subject, or a substitute for one, see `faceflow.data.groups.Groups`. Faces count from the first
    on, so a constant added to all logits of an origin never changes the result.

    Args:
        origins: number of origins.
        shape: counts of AUs and levels, (A, L).
    """

    latest: Tensor  # logits, (O, W + 1, A, L); the last place takes the surplus of a batch
    seen: Tensor  # faces so far, (O,)

    def __init__(self, origins: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("latest", torch.zeros(origins, _WINDOW + 1, *shape))
        self.register_buffer("seen", torch.zeros(origins, dtype=torch.int64))

    @torch.no_grad()
    def follow(self, logits: Tensor, origin: Tensor) -> None:
        """Add rows (B, A, L) of every process with their origins (B,); call it before they are centred."""
        logits, origin = gathered(logits.float()), gathered(origin)
        same = origin.unsqueeze(0) == origin.unsqueeze(1)
        earlier, later = same.tril(-1).sum(dim=1), same.triu(1).sum(dim=1)
        place = torch.where(later < _WINDOW, (self.seen[origin] + earlier) % _WINDOW, _WINDOW)
        self.latest[origin, place] = logits
        self.seen.index_add_(0, origin, torch.ones_like(origin))

    def forward(self, logits: Tensor, origin: Tensor) -> Tensor:
        """Centre rows (B, A, L) of origins (B,) that were added."""
        empty = torch.arange(_WINDOW, device=origin.device) >= self.seen[origin].unsqueeze(1)
        latest = self.latest[origin, :_WINDOW].masked_fill(empty[..., None, None], torch.nan)
        return logits.float() - latest.nanmedian(dim=1).values
