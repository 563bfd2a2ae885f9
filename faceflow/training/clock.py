"""Progress of a run, from the limits and counters of the trainer."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import lightning as L

from faceflow.errors import CheckpointError, ConfigError

log = logging.getLogger(__name__)

# Config keys that decide how many updates an epoch has.
_PACE = (
    *(("loader", key) for key in ("batch_size", "mu", "steps_per_epoch")),
    *(("trainer", key) for key in ("accumulate_grad_batches", "devices", "num_nodes", "limit_train_batches")),
)


class Clock:
    """Optimizer updates of a run: their number under the present settings, and how many are done.

    A run limited by epochs counts whole epochs, so if it is resumed with another number of updates per epoch (batch
    size, devices), it continues at the same share of its length. A run limited by `max_steps` counts its steps.
    """

    def __init__(self, trainer: L.Trainer) -> None:
        self.trainer = trainer
        self.length = float(trainer.estimated_stepping_batches)
        self._shift = 0

    @property
    def done(self) -> int:
        """Number of updates done."""
        return self.trainer.global_step + self._shift

    @property
    def share(self) -> float:
        """Share of the run that is done; 0 for a run without an end."""
        return min(1.0, self.done / self.length)

    def resume(self, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        """Find the position of a resumed run once its counters are restored; warn if its epochs have another length.

        Args:
            theirs: config of the run that wrote the checkpoint.
            ours: config of this run.

        Raises:
            CheckpointError: the checkpoint was written before the end of an epoch whose length changes.
        """
        trainer = self.trainer
        epochs: Any = trainer.fit_loop.epoch_progress.current  # Lightning declares another tracker
        batches = trainer.fit_loop.epoch_loop.batch_progress
        per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        ended = batches.is_last_batch and batches.current.ready == trainer.num_training_batches
        within = epochs.ready > epochs.processed and not ended
        done = epochs.processed if within else epochs.ready
        expected = done * per_epoch + (batches.current.ready // trainer.accumulate_grad_batches if within else 0)
        changed = ", ".join(_changes(theirs, ours))
        if within and (changed or batches.is_last_batch):
            raise CheckpointError(
                "resume: expected a checkpoint from the end of an epoch, as the length of epochs changes "
                f"({changed or 'other data'}), got one from before the end of epoch {done}; resume from last.ckpt, or "
                "repeat the settings of that run"
            )
        if within and trainer.is_global_zero:
            log.warning(
                "resume: the checkpoint was written during epoch %d; the rest of this epoch repeats its first faces, "
                "unlike an uninterrupted run",
                done,
            )
        if expected == trainer.global_step:
            return
        by_epochs = self.length == per_epoch * (trainer.max_epochs or -1)
        if by_epochs:
            self._shift = expected - trainer.global_step
        if trainer.is_global_zero:
            place = f"epoch {done} of {trainer.max_epochs}" if by_epochs else f"update {self.done} of {self.length:g}"
            reason = f" ({changed})" if changed else ""
            log.warning(
                "resume: epochs of that run had %g updates, those of this run have %d%s; schedules continue at %s",
                *(trainer.global_step / max(1, done), per_epoch, reason, place),
            )


def check_length(length: float, *, key: str, instead: str | float) -> None:
    """Check that a run has an end, as a setting requires.

    Raises:
        ConfigError: the run has no end.
    """
    if math.isinf(length):
        raise ConfigError(
            f"{key}: expected a run of known length, got one without trainer.max_epochs or trainer.max_steps; set one "
            f"of them, or {key}={instead}"
        )


def _changes(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    for group, key in _PACE:
        before, now = _value(theirs.get(group), key), _value(ours.get(group), key)
        if before != now:
            yield f"{group}.{key}={now}, was {before}"


def _value(group: object, key: str) -> Any:
    return group.get(key) if isinstance(group, Mapping) else None
