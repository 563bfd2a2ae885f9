"""FixMatch: weak views of unlabelled faces give pseudo-labels, strong views must agree with them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from faceflow.checks import check_boolean, check_choice, check_number
from faceflow.errors import ConfigError
from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.methods.consistency import consistency
from faceflow.methods.objective import TEACHER, Batch, Objective, Outputs
from faceflow.methods.pseudo_labeller import PseudoLabeller
from faceflow.methods.pseudo_statistics import PseudoLabelStatistics, named_rates
from faceflow.models.network import AUNetwork
from faceflow.views import LABELED

TEACHERS = ("student", "ema")


class FixMatch(Objective):
    """FixMatch for Action Units: one sigmoid per label, cutoffs on both sides.

    Source: Sohn et al. 2020, arXiv:2001.07685, eq. 2-4. `lambda_u=0` is supervised training: no unlabelled face is
    read.

    Args:
        criterion: loss of the labelled faces and, per entry, of the unlabelled faces.
        p_cutoff, n_cutoff: confidence from which a pseudo-label is on or off, one or per AU, see `CutoffRule`.
        coverage: None, or the share of entries to pseudo-label at the labelled base rates, see `CutoffRule`.
        rank_consistent: whether pseudo-labels of several levels must be ordinal, see `pseudo_labels`.
        center, targets, prior_strength: what is labelled and how, see `PseudoLabeller`.
        weighted: whether the criterion's weights by label frequency also apply to unlabelled faces.
        lambda_u: weight of the consistency term.
        ramp_up: share of the run over which that weight rises linearly from 0.
        teacher: "student", or "ema" for the averaged network.

    Raises:
        ConfigError: a value out of range.
    """

    views = frozenset({LABELED, "unlabeled/strong", f"{TEACHER}unlabeled/weak"})
    supervised_views = frozenset({LABELED})  # views that are read with lambda_u = 0
    streams: ClassVar[tuple[str, ...]] = ("unlabeled",)  # streams that the teacher labels
    highest_lambda: ClassVar[float] = math.inf

    def __init__(
        self,
        *,
        criterion: ElementwiseLoss,
        p_cutoff: float | Mapping[str, float],
        n_cutoff: float | Mapping[str, float] | None,
        coverage: float | None,
        rank_consistent: bool,
        center: str,
        targets: str,
        prior_strength: float,
        weighted: bool,
        lambda_u: float,
        ramp_up: float,
        teacher: str,
    ) -> None:
        super().__init__()
        self.criterion = criterion
        self.labeller = PseudoLabeller(
            p_cutoff=p_cutoff,
            n_cutoff=n_cutoff,
            coverage=coverage,
            rank_consistent=rank_consistent,
            center=center,
            targets=targets,
            prior_strength=prior_strength,
        )
        check_boolean(weighted, key="weighted")
        self._check_weight(lambda_u)
        if ramp_up != 0:
            expected = "a share of the run in [0, 1]"
            check_number(ramp_up, key="ramp_up", expected=expected, valid=lambda x: 0 <= x <= 1)
        check_choice(teacher, key="teacher", options=TEACHERS)
        self.weighted, self.lambda_u, self.ramp_up = weighted, lambda_u, ramp_up
        self.teacher = teacher if lambda_u else "student"
        self.paced = "ramp_up" if lambda_u and ramp_up else None
        if not lambda_u:
            self.views = self.supervised_views

    def _check_weight(self, lambda_u: float) -> None:
        check_number(lambda_u, key="lambda_u", expected="a weight >= 0", valid=lambda x: x >= 0)
        if lambda_u > self.highest_lambda:
            raise ConfigError(
                f"lambda_u: expected a weight in [0, {self.highest_lambda}], got {lambda_u}; a larger weight makes "
                "the loss unbounded below"
            )

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        """Pass the label counts to the criteria, and build the state of pseudo-labels and their statistics."""
        self.unlabeled_criterion = self.criterion if self.weighted else copy.deepcopy(self.criterion)
        self.criterion.bind(counts)
        if not self.weighted:
            half = torch.ones_like(counts.positives)  # of two faces each: labels of equal frequency have equal weights
            self.unlabeled_criterion.bind(LabelCounts(half, 2 * torch.ones_like(counts.observed)))
        aus = network.spec.aus
        self.labeller.bind(aus, counts, key=self.key)
        self.pseudo_statistics = PseudoLabelStatistics(len(aus))
        self.register_load_state_dict_pre_hook(_with_labeller)  # type: ignore[no-untyped-call]

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return `task_loss` and, weighted, the terms of `unlabeled_terms`."""
        terms = {"task_loss": self.task_loss(outputs, batch)}
        if self.lambda_u:
            teacher = {stream: outputs[f"{TEACHER}{stream}/weak"].logits for stream in self.streams}
            logits = self.labeller.prepared(teacher, batch)
            terms |= self.unlabeled_terms(outputs, logits, batch)
            self.labeller.follow(logits["unlabeled"])
        return terms

    def task_loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Loss of the labelled faces."""
        labeled = batch["labeled"]
        return self.criterion(outputs[LABELED].logits, labeled["target"], labeled["mask"])  # type: ignore[no-any-return]

    def unlabeled_terms(self, outputs: Outputs, logits: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the pseudo-labels, which are made from `logits` by stream."""
        return {"consistency_loss": self.weight * self.consistency(outputs, "unlabeled", logits, batch)}

    @property
    def weight(self) -> float:
        """Weight of the consistency terms in this step."""
        return self.lambda_u * min(1.0, self.progress / self.ramp_up) if self.ramp_up else self.lambda_u

    def consistency(self, outputs: Outputs, stream: str, logits: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Unweighted consistency of a stream; the unlabelled stream is also counted for the log."""
        labels = self.labeller.label(logits[stream])
        if stream == "unlabeled":
            self.pseudo_statistics.update(labels, batch[stream]["target"], batch[stream]["mask"])
        return consistency(self.unlabeled_criterion, outputs[f"{stream}/strong"].logits, labels)

    def statistics(self, aus: tuple[str, ...]) -> dict[str, float]:
        """Mask rates, pseudo-positive rate, labelled base rate, and quality if there are hidden labels."""
        if not self.pseudo_statistics.update_called:
            return {}
        named = named_rates(self.pseudo_statistics.compute(), aus)
        self.pseudo_statistics.reset()
        return named | {"labeled_positive_rate": self.labeller.base_rate, "weight": self.weight}


def _with_labeller(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Move the state of a run that version 0.1 started to its new names."""
    for key in [key for key in state if key.startswith(f"{prefix}cutoffs.")]:
        state[f"{prefix}labeller.{key.removeprefix(prefix)}"] = state.pop(key)
