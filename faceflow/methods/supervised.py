"""Supervised training on labelled faces."""

from __future__ import annotations

from torch import Tensor

from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.methods.objective import Batch, Objective, Outputs
from faceflow.models.network import AUNetwork
from faceflow.views import LABELED


class Supervised(Objective):
    """The criterion on the labelled view of labelled images; missing labels are masked."""

    views = frozenset({LABELED})

    def __init__(self, *, criterion: ElementwiseLoss) -> None:
        super().__init__()
        self.criterion = criterion

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        """Pass the label counts to the criterion."""
        self.criterion.bind(counts)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return `task_loss`."""
        labeled = batch["labeled"]
        return {"task_loss": self.criterion(outputs[LABELED].logits, labeled["target"], labeled["mask"])}
