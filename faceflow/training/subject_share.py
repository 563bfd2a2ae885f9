"""The subjects' share of the variance of training logits; a high one suggests that the network memorises faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from faceflow.methods.objective import TEACHER, Batch, Outputs
from faceflow.metrics.subject_share import share_of_sums
from faceflow.views import LABELED, stream_and_pipeline

NAME = "subject_share"
_VIEWS: Mapping[str, str] = {LABELED: NAME, f"{TEACHER}unlabeled/weak": f"unlabeled_{NAME}"}


class SubjectShares(nn.Module):
    """Shares for the labelled faces and, if there is a teacher, for its outputs on the unlabelled ones.

    Args:
        subjects: number of subjects, as numbered by `subject` in a batch.
        aus: number of AUs.
        level: level that decides about occurrence.
    """

    def __init__(self, *, subjects: int, aus: int, level: int) -> None:
        super().__init__()
        self.level = level
        for name in _VIEWS.values():
            self.add_module(name, _SubjectSums(subjects, aus))

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Add a step's outputs by view."""
        for view, name in _VIEWS.items():
            rows = batch[stream_and_pipeline(view.removeprefix(TEACHER))[0]] if view in outputs else {}
            if "subject" in rows:
                self._sums[name].update(outputs[view].logits[..., self.level], rows["subject"])

    def compute(self) -> dict[str, float]:
        """Return the mean share over AUs by name, and reset. Runs in all processes."""
        found = {}
        for name, sums in self._sums.items():
            if sums.update_called:
                share = sums.compute()
                sums.reset()
                if share == share:
                    found[name] = share
        return found

    @property
    def _sums(self) -> dict[str, _SubjectSums]:
        return {name: sums for name, sums in self.named_children() if isinstance(sums, _SubjectSums)}


class _SubjectSums(Metric):
    """Sums of logits per subject over the steps and processes of an epoch; the last row is for unknown subjects."""

    full_state_update = False
    count: Tensor
    sums: Tensor
    squares: Tensor

    def __init__(self, subjects: int, aus: int) -> None:
        super().__init__()
        for name, shape in (("count", (subjects + 1,)), ("sums", (subjects + 1, aus)), ("squares", (aus,))):
            self.add_state(name, default=torch.zeros(shape), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, logits: Tensor, subject: Tensor) -> None:
        """Add logits (B, A) of subjects (B,); -1 for an unknown subject."""
        logits, known = logits.float(), subject >= 0
        row = torch.where(known, subject, len(self.count) - 1)
        self.count = self.count.index_add(0, row, torch.ones_like(logits[:, 0]))
        self.sums = self.sums.index_add(0, row, logits)
        self.squares = self.squares + torch.where(known.unsqueeze(1), logits.square(), 0.0).sum(dim=0)

    def compute(self) -> float:
        """Mean over the AUs that have a share, NaN without one."""
        count, sums, squares = (
            state.cpu().numpy().astype(np.float64) for state in (self.count, self.sums, self.squares)
        )
        shares = share_of_sums(count[:-1], sums[:-1], squares)
        return float(np.nanmean(shares)) if np.isfinite(shares).any() else float("nan")
