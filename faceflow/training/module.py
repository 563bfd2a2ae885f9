"""The one LightningModule: a shared forward pass, the sum of the objectives' terms, whole-epoch metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from faceflow.artifacts.checkpoint import PAYLOAD, Payload
from faceflow.errors import CheckpointError, ConfigError
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.objective import Batch, Objective
from faceflow.models.network import AUNetwork, NetworkOutput, split_rows
from faceflow.training.ema import NetworkEma
from faceflow.training.optim import OptimizerFactory, build_schedule, parameter_groups
from faceflow.training.scoring import EpochPredictions, SplitScorer


class AUModule(L.LightningModule):
    """Trains a network by a sum of objectives.

    Args:
        network: what is trained, tested and exported.
        objectives: name -> objective; their views define the forward pass.
        counts: labels of the training split, for losses and the head's prior.
        scorer: of the validation split.
        optimizer: factory that takes parameter groups; it carries `lr` and perhaps `weight_decay`.
        scheduler: timm scheduler factory, or None for a constant rate.
        warmup, layer_decay, head_lr_mult: see `faceflow.training.optim`.
        ema_decay: of the averaged network, or None.
        seed: of dropout and drop path, anew in every step, so that a resumed run repeats an unbroken one.
        payload: what checkpoints say of the run.
    """

    def __init__(
        self,
        *,
        network: AUNetwork,
        objectives: Mapping[str, Objective],
        counts: LabelCounts,
        scorer: SplitScorer,
        optimizer: OptimizerFactory,
        scheduler: Any,
        warmup: float,
        layer_decay: float,
        head_lr_mult: float,
        ema_decay: float | None,
        seed: int,
        payload: Payload,
    ) -> None:
        super().__init__()
        self.network = network
        if not network.head.linear.bias.any():  # a warm start keeps what its head has learned
            self.network.head.set_prior(counts.positives / counts.observed.clamp(min=1).unsqueeze(1))
        self.objectives = nn.ModuleDict(objectives)
        for objective in objectives.values():
            objective.bind(network, counts)
        self.ema = NetworkEma(network, ema_decay) if ema_decay is not None else None
        self.views = sorted(set().union(*(objective.views for objective in objectives.values())))
        self.maps = any(objective.maps for objective in objectives.values())
        self.scorer = scorer
        self.collected = EpochPredictions()
        self.optimizer_factory, self.scheduler_factory, self.warmup = optimizer, scheduler, warmup
        self.layer_decay, self.head_lr_mult = layer_decay, head_lr_mult
        self.seed, self.payload = seed, payload

    @property
    def evaluated(self) -> AUNetwork:
        """The network that is validated and exported: the average where there is one."""
        return self.network if self.ema is None else self.ema.network

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum the terms of all objectives over one forward pass."""
        images = [batch[stream][view] for stream, view in (name.split("/") for name in self.views)]
        output = self._forward(torch.cat(images))
        outputs = dict(zip(self.views, split_rows(output, [len(rows) for rows in images]), strict=True))
        terms = {
            f"train/{name}/{term}": value
            for name, objective in self.objectives.items()
            for term, value in objective(outputs, batch).items()
        }
        loss = torch.stack(list(terms.values())).sum()
        rows = len(images[0])
        rate = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        epoch = {key: value.detach() for key, value in terms.items()}
        epoch |= {"train/loss": loss.detach(), "train/lr": torch.tensor(rate)}
        self.log_dict(epoch, on_step=False, on_epoch=True, batch_size=rows, sync_dist=True)
        self.log("loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True, logger=False, batch_size=rows)
        return loss

    def _forward(self, images: Tensor) -> NetworkOutput:
        try:
            output: NetworkOutput = self.network(images, maps=self.maps)
        except ValueError as error:
            if len(images) > 1 or "more than 1 value per channel" not in str(error):
                raise
            spec = self.payload.spec
            raise ConfigError(
                f"loader.batch_size: expected at least 2 images for the BatchNorm of {spec.backbone} at "
                f"{spec.image_size} px, got 1; raise it, or model.image_size"
            ) from error
        return output

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make dropout a function of (seed, epoch, step, process).

        Once an epoch would not do: Lightning draws from the generator between the start of the epoch and the first
        step, but not where a run was resumed.
        """
        torch.manual_seed(hash((self.seed, self.current_epoch, batch_idx, self.global_rank)) % 2**31)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Follow the network with its average, once per optimizer step."""
        stepped = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0 or self.trainer.is_last_batch
        if self.ema is not None and stepped:
            self.ema.update(self.network)

    def validation_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Collect predictions."""
        self.collected.update(batch["index"], self.evaluated(batch["eval"]).logits)

    def on_validation_epoch_end(self) -> None:
        """Tune thresholds on the whole epoch, score it and log it."""
        rows, probabilities = self.collected.compute()
        self.collected.reset()
        if not np.isfinite(probabilities).all():
            raise ConfigError(
                f"optimizer.lr: expected finite predictions after epoch {self.current_epoch}, got NaN: the training "
                "diverged; lower it, or set trainer.gradient_clip_val"
            )
        self.payload.thresholds = self.scorer.tune(rows, probabilities)
        values = self.scorer.named("val", self.scorer.score(rows, probabilities, self.payload.thresholds))
        finite = {key: value for key, value in values.items() if np.isfinite(value)}
        self.log_dict(finite, sync_dist=True)  # equal in all processes; this only tells Lightning so

    def configure_optimizers(self) -> Any:
        """One optimizer, and a schedule that is stepped per update."""
        keywords: Mapping[str, Any] = getattr(self.optimizer_factory, "keywords", {})
        groups = parameter_groups(
            self.network,
            {name: objective for name, objective in self.objectives.items() if isinstance(objective, Objective)},
            lr=keywords.get("lr", 0.0),
            weight_decay=keywords.get("weight_decay", 0.0),
            layer_decay=self.layer_decay,
            head_lr_mult=self.head_lr_mult,
        )
        try:
            optimizer = self.optimizer_factory(groups)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"optimizer: {' '.join(str(error).split())}; mend the value") from error
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_schedule(self.scheduler_factory, optimizer, steps=steps, warmup=self.warmup)
        if scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Set the rate of the next update: timm schedulers are not torch schedulers."""
        scheduler.step_update(num_updates=self.trainer.global_step, metric=metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network and says where it comes from."""
        checkpoint[PAYLOAD] = self.payload.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume only what this configuration describes."""
        found = Payload.from_checkpoint(checkpoint, source="resume")
        if found.spec != self.payload.spec:
            ours, theirs = self.payload.spec.to_dict(), found.spec.to_dict()
            key = next(key for key in ours if ours[key] != theirs[key])
            raise CheckpointError(
                f"resume: expected a checkpoint of this network, got another {key}: {theirs[key]} instead of "
                f"{ours[key]}; repeat the run's own settings, or start from its weights with init_weights=PATH"
            )
        self.payload.thresholds = found.thresholds
