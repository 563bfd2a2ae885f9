"""The LightningModule: a shared forward pass, the sum of the objectives' terms, metrics over whole epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from faceflow.encoding import occurrence_level
from faceflow.errors import CheckpointError, ConfigError
from faceflow.evaluation.calibrated import tune_payload
from faceflow.evaluation.scoring import EpochPredictions, SplitScorer
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.objective import TEACHER, Batch, Objective, faces_of
from faceflow.metrics.au_scores import Prediction
from faceflow.models.checkpoint import PAYLOAD, Payload
from faceflow.models.faces import Faces
from faceflow.models.network import AUNetwork, NetworkOutput, split_rows
from faceflow.training.averages import EMA, NetworkAverage
from faceflow.training.clock import Clock, check_length
from faceflow.training.epoch_means import EpochMeans
from faceflow.training.optim import OptimizerFactory, Schedule, build_optimizer, build_schedule, parameter_groups
from faceflow.training.subject_share import NAME, SubjectShares
from faceflow.views import EVAL, in_order, stream_and_pipeline


class AUModule(L.LightningModule):
    """Trains a network by a sum of objectives.

    Args:
        network: network to train, test and export.
        objectives: name -> objective; their views define the forward pass.
        computed: view -> the view in the batch that replaces it, see `faceflow.views`; other views are read directly.
        counts: labels of the training split, for losses and the head's prior.
        scorer: of the validation split.
        optimizer: factory that takes parameter groups; it carries `lr` and perhaps `weight_decay`.
        scheduler: timm scheduler factory, or None for a constant rate.
        warmup, layer_decay, head_lr_mult: see `faceflow.training.optim`.
        average: of the network's weights, which is then validated and exported, or None.
        seed: of dropout and drop path, set in every step, so that a resumed run repeats an uninterrupted one.
        payload: description of the run in checkpoints.
    """

    def __init__(
        self,
        *,
        network: AUNetwork,
        objectives: Mapping[str, Objective],
        computed: Mapping[str, str],
        counts: LabelCounts,
        scorer: SplitScorer,
        optimizer: OptimizerFactory,
        scheduler: Any,
        warmup: float,
        layer_decay: float,
        head_lr_mult: float,
        average: NetworkAverage | None,
        seed: int,
        payload: Payload,
    ) -> None:
        super().__init__()
        self.network = network
        self.network.set_prior(counts.positives / counts.observed.clamp(min=1).unsqueeze(1))
        self.objectives = nn.ModuleDict(objectives)
        for name, objective in objectives.items():
            objective.key = f"method.{name}"
            objective.bind(network, counts)
        self.average = average
        if average is not None:
            average.bind(network)
        self.read = set().union(*(objective.views for objective in objectives.values()))
        self.computed = computed
        served = {self._computed(view) for view in self.read}
        self.views = in_order(view for view in served if not view.startswith(TEACHER))
        self.teacher_views = in_order(view.removeprefix(TEACHER) for view in served if view.startswith(TEACHER))
        self.teacher = _teacher(objectives, average)
        self.freeze_batch_norm = any(objective.freeze_batch_norm for objective in objectives.values())
        statistics = not self.freeze_batch_norm and any(isinstance(part, _BatchNorm) for part in network.modules())
        same_pass = self.teacher_views if self.teacher == "student" and statistics else []
        self.detached = [view for view in same_pass if view not in self.views]
        self.maps = any(objective.maps for objective in objectives.values())
        self.scorer = scorer
        level = occurrence_level(payload.spec.cutpoints, payload.spec.occurrence_min)
        self.shares = SubjectShares(subjects=counts.subjects, aus=len(payload.spec.aus), level=level)
        self.means, self.rates = EpochMeans(), EpochMeans()
        self.loss: Tensor | None = None  # of the latest step
        self.collected = EpochPredictions()
        self.latest: tuple[NDArray[np.intp], Prediction] | None = None  # rows and predictions of the last validation
        self.optimizer_factory, self.scheduler_factory, self.warmup = optimizer, scheduler, warmup
        self.layer_decay, self.head_lr_mult = layer_decay, head_lr_mult
        self.seed, self.payload = seed, payload
        self.schedule: Schedule | None = None
        self.resumed: Mapping[str, Any] | None = None  # config of the run that is continued
        self.train()

    def train(self, mode: bool = True) -> AUModule:
        """Switch modes; frozen BatchNorm layers stay in evaluation mode."""
        super().train(mode)
        if self.freeze_batch_norm:
            for part in self.network.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self

    @property
    def evaluated(self) -> AUNetwork:
        """The network that is validated and exported: the average if there is one."""
        return self.network if self.average is None else self.average.network

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum the terms of all objectives over one forward pass."""
        for objective in self._by_name.values():
            objective.progress = self.clock.share
        outputs, batch = self._outputs(batch), self._with_read_views(batch)
        terms = {
            f"train/{name}/{term}": value
            for name, objective in self._by_name.items()
            for term, value in objective(outputs, batch).items()
        }
        loss = torch.stack(list(terms.values())).sum()
        self.shares.update(outputs, batch)
        rows = len(next(iter(batch["labeled"].values())))
        self.loss = loss.detach()
        self.means.update({**terms, "train/loss": loss}, weight=rows)
        rate = max(group["lr"] / group["lr_scale"] for group in self.trainer.optimizers[0].param_groups)
        self.rates.update({"train/lr": torch.tensor(rate)}, weight=rows)  # apart: it stays on the CPU
        return loss

    @property
    def _by_name(self) -> dict[str, Objective]:
        return {name: objective for name, objective in self.objectives.items() if isinstance(objective, Objective)}

    def _outputs(self, batch: Batch) -> dict[str, NetworkOutput]:
        """Outputs of all views: one pass over those that get a gradient, and one of the teacher.

        If the network has batch statistics and the teacher is the student, the teacher's rows are in the same pass, so
        that the statistics are those of all rows, as in the references; otherwise the teacher keeps no activations.
        """
        shared = [*self.views, *self.detached]
        faces = [faces_of(batch, view) for view in shared]
        parts = split_rows(self._forward(Faces.joined(faces)), [rows.size for rows in faces])
        outputs = dict(zip(shared, parts, strict=True))
        for view in self.teacher_views:
            if self.teacher == "student" and view in outputs:
                outputs[TEACHER + view] = NetworkOutput(outputs[view].logits.detach())
        if apart := [view for view in self.teacher_views if TEACHER + view not in outputs]:
            faces = [faces_of(batch, view) for view in apart]
            teacher = self.network if self.average is None or self.teacher == "student" else self.average.network
            with torch.no_grad():
                logits = teacher(*Faces.joined(faces)).logits
            for view, part in zip(apart, torch.split(logits, [rows.size for rows in faces]), strict=True):
                outputs[TEACHER + view] = NetworkOutput(part)
        return {view: outputs[self._computed(view)] for view in self.read}

    def _computed(self, view: str) -> str:
        """Name the view in the batch, or of the teacher, that replaces a view that an objective reads."""
        prefix = TEACHER if view.startswith(TEACHER) else ""
        name = view.removeprefix(prefix)
        return prefix + self.computed.get(name, name)

    def _with_read_views(self, batch: Batch) -> Batch:
        """Add the replaced views to a batch."""
        rows = {stream: dict(tensors) for stream, tensors in batch.items()}
        for view, computed in self.computed.items():
            stream, pipeline = stream_and_pipeline(view)
            if (images := faces_of(batch, computed).images) is not None:
                rows[stream][pipeline] = images
        return rows

    def _forward(self, faces: Faces) -> NetworkOutput:
        try:
            output: NetworkOutput = self.network(*faces, maps=self.maps)
        except ValueError as error:
            if faces.size > 1 or "more than 1 value per channel" not in str(error):
                raise
            spec = self.payload.spec
            raise ConfigError(
                f"loader.batch_size: expected at least 2 images for the BatchNorm of {spec.backbone} at "
                f"{spec.image_size} px, got 1; raise it, or model.image_size"
            ) from error
        return output

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make dropout a function of (seed, epoch, step, process).

        Once per epoch is not enough: Lightning draws from the generator between the start of the epoch and the first
        step, but not in a resumed run.
        """
        torch.manual_seed(hash((self.seed, self.current_epoch, batch_idx, self.global_rank)) % 2**31)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Update the average once per optimizer step; log the statistics at the end of the epoch."""
        stepped = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0 or self.trainer.is_last_batch
        if self.average is not None and stepped:
            self.average.update(self.network, self.clock.share)
        trainer = self.trainer
        if trainer.is_last_batch or trainer.should_stop or trainer.global_step == trainer.max_steps:
            rows = self.means.weight
            named: dict[str, Tensor | float] = {**self.means.compute(), **self.rates.compute()}
            named |= {f"train/{key}": value for key, value in self.shares.compute().items()}
            for name, objective in self._by_name.items():
                values = objective.statistics(self.payload.spec.aus)
                named |= {f"train/{name}/{key}": value for key, value in values.items()}
            # Of the epoch: loggers get a step only if `log_every_n_steps` hits it.
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=rows, sync_dist=True)

    def validation_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Collect predictions."""
        self.collected.update(batch["index"], self.evaluated(*Faces.of(batch, EVAL)).logits)

    def on_validation_epoch_end(self) -> None:
        """Tune thresholds on the whole epoch, score it and log it."""
        rows, probabilities = self.collected.compute()
        self.collected.reset()
        if not np.isfinite(probabilities).all():
            raise ConfigError(
                f"optimizer.lr: expected finite predictions after epoch {self.current_epoch}, got NaN: the training "
                "diverged; lower it, or set trainer.gradient_clip_val"
            )
        prediction = self.scorer.decode(probabilities)
        self.latest = rows, prediction
        self.payload.thresholds = self.scorer.tune(rows, prediction)
        values = self.scorer.named("val", self.scorer.score(rows, prediction, self.payload.thresholds))
        tune_payload(self.payload, self.scorer, rows, prediction)
        values[f"val/{NAME}"] = self.scorer.subject_share(rows, prediction)
        finite = {key: value for key, value in values.items() if np.isfinite(value)}
        self.log_dict(finite, sync_dist=True)  # equal in all processes; sync_dist tells Lightning so

    def configure_optimizers(self) -> Any:
        """One optimizer, and a schedule that is stepped per update."""
        keywords: Mapping[str, Any] = getattr(self.optimizer_factory, "keywords", {})
        groups = parameter_groups(
            self.network,
            self._by_name,
            lr=keywords.get("lr", 0.0),
            weight_decay=keywords.get("weight_decay", 0.0),
            layer_decay=self.layer_decay,
            head_lr_mult=self.head_lr_mult,
        )
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        optimizer = build_optimizer(self.optimizer_factory, groups, scaled=scaled)
        self.clock = Clock(self.trainer)
        for part in (*self._by_name.values(), self.average):
            if part is not None and part.paced:
                check_length(self.clock.length, key=f"{part.key}.{part.paced}", instead=0)
        if self.scheduler_factory is None:
            return optimizer
        check_length(self.clock.length, key="scheduler", instead="constant")
        steps = int(self.clock.length)
        self.schedule = build_schedule(self.scheduler_factory, optimizer, steps=steps, warmup=self.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.schedule, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Set the rate of the next update."""
        scheduler.step_update(self.clock.done)

    def on_train_start(self) -> None:
        """Set the rate of a resumed run by its own length: the optimizer restored that of the checkpoint."""
        if self.resumed is not None:
            self.clock.resume(self.resumed, self.payload.config)
        if self.schedule is not None:
            self.schedule.step_update(self.clock.done)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the payload, which rebuilds the network and describes its origin."""
        checkpoint[PAYLOAD] = self.payload.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume only what this configuration describes."""
        found = Payload.from_checkpoint(checkpoint, source="resume")
        if found.spec != self.payload.spec:
            ours, theirs = self.payload.spec.to_dict(), found.spec.to_dict()
            key = next(key for key in ours | theirs if ours.get(key) != theirs.get(key))
            raise CheckpointError(
                f"resume: expected a checkpoint of this network, got another {key}: {theirs.get(key)} instead of "
                f"{ours.get(key)}; repeat the run's own settings, or start from its weights with init_weights=PATH"
            )
        self.payload.thresholds, self.payload.centring = found.thresholds, found.centring
        self.payload.calibration, self.payload.conformal = found.calibration, found.conformal
        self.resumed = found.config


def _teacher(objectives: Mapping[str, Objective], average: NetworkAverage | None) -> str:
    teachers = {objective.teacher for objective in objectives.values() if any(TEACHER in v for v in objective.views)}
    if len(teachers) > 1:
        raise ConfigError("method: expected one teacher for all objectives, got student and ema; use the same for all")
    if "ema" in teachers and not isinstance(average, EMA):
        raise ConfigError("method: teacher=ema needs the network's average, got none; add average=ema")
    return teachers.pop() if teachers else "student"
