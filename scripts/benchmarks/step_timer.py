"""A callback that times steady-state training steps, and a bare loop over the same network before every epoch."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from faceflow.data.datamodule import AUDataModule
from faceflow.errors import ConfigError
from faceflow.methods.miro import MIRO
from faceflow.report.result_files import write_json
from faceflow.training.module import AUModule
from faceflow.views import stream_and_pipeline

_POOL = 4  # different batches in memory
_BARE_WARMUP = 3  # steps


class BareLoop:
    """A hand-written loop: a copy of the network, an optimizer with one parameter group, batches in memory.

    It makes only the passes that the method's views need: all rows with a gradient in one pass, a teacher's rows in a
    separate pass without a gradient, and MIRO's oracle with the difference of its feature maps.
    """

    def __init__(self, trainer: L.Trainer, module: AUModule, data: AUDataModule, *, channels_last: bool) -> None:
        self.network = copy.deepcopy(module.network).train()
        self.optimizer = module.optimizer_factory(self.network.parameters())
        self.clip = trainer.gradient_clip_val
        self.mixed = trainer.precision == "bf16-mixed"
        self.device = module.device
        self.batch_size = data.batch_sizes["labeled"]
        shared = [*module.views, *module.detached]
        self.trained_rows = _row_count(shared, data)
        taught_rows = _row_count([view for view in module.teacher_views if view not in shared], data)
        self.oracle = next((part.oracle for part in module.objectives.values() if isinstance(part, MIRO)), None)
        self.frozen = module.freeze_batch_norm
        spec = module.payload.spec
        layout = torch.channels_last if channels_last else torch.contiguous_format
        shape = (self.trained_rows + taught_rows, 3, spec.image_size, spec.image_size)
        self.images = [
            torch.randint(256, shape, dtype=torch.uint8, device=self.device).contiguous(memory_format=layout)
            for _ in range(_POOL)
        ]
        labels = (_POOL, self.trained_rows, len(spec.aus), spec.levels)
        self.targets = torch.randint(2, labels, device=self.device).float()
        if self.frozen:
            for part in self.network.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()

    def rate(self, steps: int) -> float:
        """Labelled images/s over some steps."""
        self._run(_BARE_WARMUP)
        started = _now(self.device)
        self._run(steps)
        return steps * self.batch_size / (_now(self.device) - started)

    def _run(self, steps: int) -> None:
        for step in range(steps):
            self._step(self.images[step % _POOL], self.targets[step % _POOL])

    def _step(self, images: torch.Tensor, targets: torch.Tensor) -> None:
        trained, taught = images[: self.trained_rows], images[self.trained_rows :]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            if len(taught):
                with torch.no_grad():
                    self.network(taught)
            output = self.network(trained, maps=self.oracle is not None)
            loss = F.binary_cross_entropy_with_logits(output.logits.float(), targets)
            if self.oracle is not None:
                loss = loss + self._distance(trained[: self.batch_size], output.maps)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()

    def _distance(self, images: torch.Tensor, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        assert self.oracle is not None
        with torch.no_grad():
            _, targets = self.oracle(images, maps=True)
        pairs = zip(maps, targets, strict=True)
        return torch.stack([F.mse_loss(map_[: len(images)].float(), target.float()) for map_, target in pairs]).sum()


class StepTimer(L.Callback):
    """Writes images/s of both loops for each epoch but the first, and the share of time between steps.

    The clock runs from the end of step `warmup` to the end of step `warmup + steps`. It waits for the accelerator only
    at these two moments, because waiting after each step would keep the host from running ahead.
    """

    def __init__(self, *, path: str, warmup: int, steps: int, channels_last: bool) -> None:
        self.path, self.warmup, self.steps, self.channels_last = Path(path), warmup, steps, channels_last
        self.rounds: dict[str, list[float]] = {"ours": [], "reference": [], "waiting": []}
        self.started = self.step_ended = self.waited = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Build the bare loop on the device of the network."""
        assert isinstance(pl_module, AUModule)
        if trainer.num_training_batches < self.warmup + self.steps:
            raise ConfigError(
                f"--steps: expected epochs of at least {self.warmup + self.steps} batches with the warm-up, got "
                f"{trainer.num_training_batches}; raise --faces, or lower --steps, --batch or --workers"
            )
        data: AUDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self.bare = BareLoop(trainer, pl_module, data, channels_last=self.channels_last)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Time the bare loop while the workers are idle."""
        self._record(trainer, "reference", self.bare.rate(self.steps))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Add the time since the last step."""
        self.waited += time.perf_counter() - self.step_ended

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start or stop the clock."""
        if batch_idx + 1 == self.warmup:
            self.started, self.waited = _now(pl_module.device), 0.0
        elif batch_idx + 1 == self.warmup + self.steps:
            seconds = _now(pl_module.device) - self.started
            self._record(trainer, "ours", self.steps * self.bare.batch_size / seconds)
            self._record(trainer, "waiting", self.waited / seconds)
        self.step_ended = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the rounds to the file."""
        write_json(self.path, self.rounds)

    def _record(self, trainer: L.Trainer, name: str, value: float) -> None:
        if trainer.current_epoch > 0:
            self.rounds[name].append(value)


def _row_count(views: Sequence[str], data: AUDataModule) -> int:
    return sum(data.batch_sizes[stream_and_pipeline(view)[0]] for view in views)


def _now(device: torch.device) -> float:
    """Time when the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
