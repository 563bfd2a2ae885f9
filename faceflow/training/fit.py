"""Lightning's fit; after SIGTERM, Ctrl-C or a dead loader process it leaves a checkpoint and one clear line."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from faceflow.data.datamodule import AUDataModule
from faceflow.data.loader_processes import explain_loss
from faceflow.errors import ConfigError, LoaderError, ProcessError
from faceflow.files import FileWatch, died_in
from faceflow.interruption import Terminated, finish_first, on_sigterm
from faceflow.training.companions import LOST, explain_lost_process, start_companions
from faceflow.training.module import AUModule


class RunState:
    """Messages of a stopped run, based on the files that it has written so far.

    Args:
        output: folder of the run, or of one of its folds; exists before the run begins.
        resume: checkpoint that the run continues.
        fold: whether it is one of several folds.
        first: whether this is the first process of the run, which prints how it ended; another process does so if the
            first one died.
        overwrite: whether the command replaces earlier results; it must not do so again to continue.
    """

    def __init__(self, output: Path, *, resume: str | None, fold: bool, first: bool, overwrite: bool) -> None:
        self.output, self.resume, self.fold, self.first = output, resume, fold, first
        self._overwrite = overwrite
        self._metrics = output / "metrics.json"
        self._checkpoints = [output / "checkpoints" / f"{name}.ckpt" for name in ("last", "best")]
        self._watch = FileWatch(self._metrics, *self._checkpoints)

    @functools.cached_property
    def reports(self) -> bool:
        """True in the process that prints how the run ended; read when it ends."""
        return self.first or died_in(self.output)

    def kept(self) -> str:
        """Say what is kept of an unfinished training."""
        if not self.reports:
            return ""
        if self.fold:
            return folds_kept(self.output.parent, overwrite=self._overwrite)
        if self._watch.written(self._metrics):
            return f"all results are in {self.output}"
        if checkpoint := self._checkpoint():
            lost = "finished epochs are kept and the current one is lost"
            return f"{lost}; to resume, {resumed_by(f'resume={checkpoint}', overwrite=self._overwrite)}"
        if self.resume:
            return f"no further epoch was finished; rerun the same command with {quote(f'resume={self.resume}')}"
        return "no epoch was finished, so nothing is kept; rerun the same command"

    def trained(self) -> str:
        """Say what is kept of a finished training whose test is not."""
        if not self.reports or self.fold or self._watch.written(self._metrics):
            return self.kept()
        resume = resumed_by(f"resume={self._checkpoint() or self.resume}", overwrite=self._overwrite)
        return (
            f"the network is trained, but its test is not finished; to resume, {resume}, or run only the test: "
            f"faceflow-test {quote(f'checkpoint={self._checkpoints[-1]}')}"
        )

    def _checkpoint(self) -> Path | None:
        """Return the checkpoint to continue from, if this run wrote one."""
        return next(filter(self._watch.written, self._checkpoints), None)


def folds_kept(output: Path, *, overwrite: bool) -> str:
    """Say what is kept of a run of several folds, and how to resume it; `overwrite` as for `RunState`."""
    finished = "finished folds are kept, and finished epochs of the current one"
    return f"{finished}; to resume, {resumed_by(f'hydra.run.dir={output}', overwrite=overwrite)}"


def resumed_by(setting: str, *, overwrite: bool) -> str:
    """Say how to resume a run by a setting; `overwrite` as for `RunState`."""
    return f"rerun the same command with {quote(setting)}{' and without overwrite=true' if overwrite else ''}"


def fit(trainer: L.Trainer, module: AUModule, data: AUDataModule, state: RunState) -> None:
    """Train, continuing from the checkpoint `state.resume` if there is one.

    Raises:
        ConfigError: the trainer refuses a setting, or the loader processes have too little shared memory.
        LoaderError: a loader process died or gave no batch.
        ProcessError: another process of the run died.
        KeyboardInterrupt, Terminated: the training was stopped.
    """
    data.check_memory(processes=trainer.num_devices)
    start_companions(trainer, state.kept)
    try:
        with _ended_by_sigterm(trainer):
            trainer.fit(module, datamodule=data, ckpt_path=state.resume, weights_only=True)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit code 1
            raise stop.__context__ from None
        if isinstance(stop, SIGTERMException):
            raise Terminated from stop
        raise
    except Exception as error:
        dynamo = sys.modules.get("torch._dynamo.exc")  # only torch.compile imports it, which takes 2 s
        if dynamo is not None and isinstance(error, dynamo.TorchDynamoException):
            reason = " ".join(str(error).split("\n\n")[0].split())
            raise ConfigError(
                f"compile: expected a network that torch.compile can compile here, got '{reason}'; set compile=false"
            ) from error
        if lost := explain_loss(error, data.workers):
            raise LoaderError(f"{lost}; {state.kept()}") from error
        if lost := explain_lost_process(error):
            if not state.reports:
                sys.exit(LOST)
            raise ProcessError(f"{lost}; {state.kept()}") from error
        raise


def best_checkpoint(trainer: L.Trainer) -> Any:
    """Return the callback that kept the best checkpoint.

    Raises:
        ConfigError: no epoch was validated.
    """
    best: Any = trainer.checkpoint_callback
    if best is None or best.best_model_score is None:
        raise ConfigError(
            "trainer: expected a validated epoch, got none; see trainer.max_epochs, trainer.check_val_every_n_epoch, "
            "trainer.limit_val_batches and callbacks.best"
        )
    return best


@contextlib.contextmanager
def _ended_by_sigterm(trainer: L.Trainer) -> Iterator[None]:
    """Let SIGTERM end the training at once, or under Slurm at the end of a step, as Lightning does.

    Under Slurm, Lightning also saves and requeues the job on SIGUSR1, which must not be interrupted. Elsewhere its own
    handler would notify the other processes by a collective operation, and hang if they are in another one.
    """
    own = type(getattr(trainer.strategy, "cluster_environment", None)) is LightningEnvironment
    if SLURMEnvironment.detect() and not own:
        with finish_first() as stop:
            yield
            stop.raise_if_set()
    else:
        if signal.getsignal(signal.SIGTERM) is on_sigterm:
            trainer.callbacks.append(_OwnHandler())  # type: ignore[attr-defined]
        yield


class _OwnHandler(L.Callback):
    """Restores the SIGTERM handler that Lightning replaced when it began to fit."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace Lightning's handler; Lightning restores the earlier ones after fitting."""
        signal.signal(signal.SIGTERM, on_sigterm)
