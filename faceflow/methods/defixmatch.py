"""DeFixMatch: FixMatch whose consistency on labelled faces is subtracted, so that its mean is the supervised risk."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.objective import TEACHER, Batch, Outputs
from faceflow.views import LABELED


class DeFixMatch(FixMatch):
    """Debiased FixMatch (Schmutz et al. 2023, arXiv:2203.07512, eq. 5 and appendix L).

    risk = 1/2 [L(labelled view, y) + L(strong, y)] + lambda_u (H(unlabelled) - H(labelled)), with the same H: the
    strong view against teacher labels of the weak view, without true labels. In expectation the two H cancel if both
    streams show the same population. A confident and correct entry of a labelled strong view has weight
    1/2 - lambda_u, so above 1/2 the loss would be unbounded below.

    Raises:
        ConfigError: `lambda_u` above 1/2, or as in `FixMatch`.
    """

    views = FixMatch.views | {"labeled/strong", f"{TEACHER}labeled/weak"}
    supervised_views = frozenset({LABELED, "labeled/strong"})
    streams = ("unlabeled", "labeled")
    highest_lambda = 0.5

    def unlabeled_terms(self, outputs: Outputs, logits: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return `consistency_loss` and `debias_loss`, with labels by the same cutoffs; their sum can be negative."""
        debias = -self.weight * self.consistency(outputs, "labeled", logits, batch)
        return super().unlabeled_terms(outputs, logits, batch) | {"debias_loss": debias}

    def task_loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean loss of the labelled and the strong view; without the latter, training is unstable (appendix L.2)."""
        labeled = batch["labeled"]
        views = [outputs[view].logits for view in (LABELED, "labeled/strong")]
        plain, strong = (self.criterion(logits, labeled["target"], labeled["mask"]) for logits in views)
        return (plain + strong) / 2  # type: ignore[no-any-return]
