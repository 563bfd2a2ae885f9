"""MIRO: keeps features near those of the pretrained backbone, so that training domains do not erase them."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceflow.checks import check_boolean, check_choice, check_number
from faceflow.errors import CheckpointError, ConfigError
from faceflow.losses.elementwise import LabelCounts
from faceflow.losses.processes import averaged
from faceflow.methods.objective import Batch, Objective, Outputs, images_of
from faceflow.models.backbone import Backbone
from faceflow.models.network import AUNetwork
from faceflow.views import LABELED

log = logging.getLogger(__name__)

NORMALIZATIONS = ("none", "layer")
MEASURED_BATCHES = 16  # batches from which the scale of the features is estimated
_SMALLEST_VARIANCE = 1e-12  # smallest divisor, as a layer may be dead


class MIRO(Objective):
    """Mutual Information Regularization with Oracle (Cha et al. 2022, arXiv:2203.10789).

    The oracle is the backbone as it was before training. For features f and features f0 of the oracle, both of the
    labelled view:

        R = sum over stages of 1/2 mean((f - f0)^2 / s + ln s),  s = softplus(b) + epsilon per channel

    The encoder of the mean is the identity and that of the variance is a bias, as in the authors' code. Stages are
    the feature maps of the backbone; if there are more than five, as in a ViT, four at equal distances are used.

    A checkpoint holds a digest of the oracle instead of its weights, which are restored by the settings of the run.

    Args:
        weight: lambda, at least 0.
        lr_mult: learning rate of b relative to the base rate.
        variance_init: initial s, above `epsilon`.
        epsilon: lower bound of s, above 0.
        normalize: "layer" divides both features by the standard deviation of f0 over the first 16 training batches.
        freeze_batch_norm: the trained network keeps the pretrained batch statistics.

    Raises:
        ConfigError: a value out of range.
    """

    views = frozenset({LABELED})
    maps = True

    oracle: Backbone
    oracle_digest: Tensor
    measured: Tensor
    feature_variance: Tensor

    def __init__(
        self,
        *,
        weight: float,
        lr_mult: float,
        variance_init: float,
        epsilon: float,
        normalize: str,
        freeze_batch_norm: bool,
    ) -> None:
        super().__init__()
        check_number(weight, key="weight", expected="a number >= 0", valid=lambda x: x >= 0)
        check_number(epsilon, key="epsilon", expected="a number > 0", valid=lambda x: x > 0)
        above = f"a number > epsilon ({epsilon})"
        check_number(variance_init, key="variance_init", expected=above, valid=lambda x: x > epsilon)
        check_choice(normalize, key="normalize", options=NORMALIZATIONS)
        check_boolean(freeze_batch_norm, key="freeze_batch_norm")
        self.weight, self.lr_mult, self.freeze_batch_norm = weight, lr_mult, freeze_batch_norm
        self.variance_init, self.epsilon, self.normalize = variance_init, epsilon, normalize

    def check_without_backbone(self) -> None:
        """Refuse it, as there are no backbone features to preserve."""
        raise ConfigError(
            f"{self.key}: expected a model with a pretrained backbone, whose features MIRO preserves, got one that "
            "reads face features only; use model=fused, or another method"
        )

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        """Copy the backbone as the oracle and make one variance per channel."""
        assert network.backbone is not None, "check_without_backbone() refuses others"
        if not network.backbone.pretrained:
            log.warning(
                "%s: %s starts from random weights, so MIRO would keep its features near random ones; set "
                "model.pretrained=true, or model.weights=FILE",
                self.key,
                network.spec.backbone,
            )
        self.oracle = copy.deepcopy(network.backbone).eval().requires_grad_(False)
        self.stages = chosen_stages(len(self.oracle.channels))
        start = _inverse_softplus(self.variance_init - self.epsilon)
        shapes = [(1, self.oracle.channels[stage], 1, 1) for stage in self.stages]
        self.raw_variances = nn.ParameterList(nn.Parameter(torch.full(shape, start)) for shape in shapes)
        if self.normalize == "layer":
            self.register_buffer("measured", torch.zeros((), dtype=torch.int64))
            self.register_buffer("feature_variance", torch.ones(len(shapes)))
        self.register_buffer("oracle_digest", _digest(self.oracle))
        self.register_state_dict_post_hook(_leave_oracle_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_keep_own_oracle)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> MIRO:
        """Set the mode of all but the oracle, whose statistics and depth must not vary."""
        super().train(mode)
        if hasattr(self, "oracle"):
            self.oracle.eval()
        return self

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `reg_loss`, below 0 while the features are near the oracle's and s is below 1."""
        maps = outputs[LABELED].maps
        with torch.no_grad():
            oracle = [stage.float() for stage in self.oracle.feature_maps(images_of(batch, LABELED), self.stages)]
            units = self._units(oracle)
        stages = zip(self.stages, oracle, units, self._variances(), strict=True)
        terms = [_divergence(maps[stage].float() - target, unit, s) for stage, target, unit, s in stages]
        return {"reg_loss": self.weight * torch.stack(terms).sum()}

    def statistics(self, aus: tuple[str, ...]) -> dict[str, float]:
        """Mean s of every stage."""
        with torch.no_grad():
            return {f"variance_{number}": s.mean().item() for number, s in enumerate(self._variances())}

    def _variances(self) -> Iterator[Tensor]:
        return (F.softplus(b.float()) + self.epsilon for b in self.raw_variances)

    def _units(self, oracle: list[Tensor]) -> Tensor:
        """Divisors of squared differences, (K,); measured without reading the count back from the device."""
        if self.normalize == "none":
            return oracle[0].new_ones(len(oracle))
        if self.training:
            means = torch.stack([stage.mean() for stage in oracle])
            own = torch.stack([stage.var(correction=0) for stage in oracle])
            variances = averaged(own + (means - averaged(means)).square())  # over the rows of all processes
            running_mean = torch.lerp(self.feature_variance, variances, 1 / (self.measured + 1))
            self.feature_variance.copy_(
                torch.where(self.measured < MEASURED_BATCHES, running_mean, self.feature_variance)
            )
            self.measured += 1
        return self.feature_variance.clamp(min=_SMALLEST_VARIANCE)


def chosen_stages(count: int) -> tuple[int, ...]:
    """Feature maps that are compared: all if there are up to five, else four at equal distances, the last included."""
    return tuple(range(count)) if count <= 5 else tuple(count * quarter // 4 - 1 for quarter in (1, 2, 3, 4))


def _divergence(difference: Tensor, unit: Tensor, s: Tensor) -> Tensor:
    """Gaussian negative log-likelihood of a stage without its constant; difference (B, C, H, W), s (1, C, 1, 1)."""
    return 0.5 * ((difference.square() / (s * unit)).mean() + s.log().mean())


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))


def _digest(oracle: Backbone) -> Tensor:
    """SHA-256 of the weights as 32 numbers, the same for every device, memory layout and lossless precision."""
    digest = hashlib.sha256()
    for name, value in sorted(oracle.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            plain = value.float() if value.is_floating_point() else value
            digest.update(f"{name} {tuple(value.shape)}\n".encode())
            digest.update(plain.cpu().contiguous().numpy().tobytes())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _leave_oracle_out(miro: nn.Module, state: dict[str, Any], prefix: str, _: dict[str, Any]) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}oracle.")]:
        del state[key]


def _keep_own_oracle(miro: MIRO, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Complete a state without the oracle, so that strict loading finds it.

    Raises:
        CheckpointError: the state belongs to another oracle.
    """
    saved = state.get(f"{prefix}oracle_digest")
    if saved is not None and not torch.equal(saved.cpu(), miro.oracle_digest.cpu()):
        theirs, ours = (bytes(digest.tolist()).hex()[:12] for digest in (saved, miro.oracle_digest))
        raise CheckpointError(
            f"resume: expected the pretrained backbone that the run started from, got other weights ({ours} instead "
            f"of {theirs}); set model.weights, or init_weights, to those of that run"
        )
    state.update({f"{prefix}oracle.{key}": value for key, value in miro.oracle.state_dict().items()})
