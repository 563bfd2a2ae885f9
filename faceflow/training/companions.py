"""The other processes of a run: starts those of this machine, and ends the run with one line if one dies."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from faceflow.errors import FaceFlowError
from faceflow.interruption import await_sigterm
from faceflow.training.rank import is_rank_zero

LOST = 2  # exit code
_POLL_S = 0.5
_PATIENCE_S = 10.0  # for the other processes to notice on their own, as gloo does at once
_SAME_S = 3.0  # within which all processes fail with the same error
_END_S = 20.0  # for them to end after SIGTERM
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
_LOST = re.compile(r"gloo|nccl|connection (?:closed|reset)|broken pipe|socket|process ?group", re.IGNORECASE)

_current: Companions | None = None


class Companions:
    """Processes that train beside this one: those that it started, or the one that started it.

    Lightning's own launcher repeats the command line, which for a job of a sweep would start the whole sweep, and kills
    all processes without a message when one dies.

    Args:
        job: packs the config of this job, see `faceflow.config.job_transfer`.
        first: pid of the process that started this one, if any.
    """

    def __init__(self, job: Callable[[], bytes], *, first: int | None = None) -> None:
        self.job, self.first = job, first
        self.started: list[subprocess.Popen[bytes]] = []
        self.told: Callable[[], str] = str
        self.ending = threading.Event()

    def start(self, trainer: L.Trainer) -> None:
        """Start the other processes of this machine, unless a launcher (torchrun, Slurm) or an earlier fold did."""
        environment = getattr(trainer.strategy, "cluster_environment", None)
        if (
            not isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher)
            or type(environment) is not LightningEnvironment
            or environment.creates_processes_externally
        ):
            return
        places = {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "WORLD_SIZE": str(trainer.num_devices * trainer.num_nodes),
        }
        os.environ |= {**places, "LOCAL_RANK": "0"}  # by which Lightning sees that all are started
        job = self.job()
        for rank in range(1, trainer.num_devices):
            process = subprocess.Popen(
                [sys.executable, "-c", "from faceflow.training.follower import main; main()", str(os.getpid())],
                stdin=subprocess.PIPE,
                env={**os.environ, "LOCAL_RANK": str(rank), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # a dead one is seen below
                pipe.write(job)
            self.started.append(process)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        """End this process if another one died and this one does not notice, for example during its test."""
        while not self.ending.wait(_POLL_S):
            if not self._lost():
                continue
            if not self.ending.wait(_PATIENCE_S):
                if kept := self.told():
                    sys.stderr.write(f"ERROR ProcessError: {self.explained()}; {kept}\n")
                    sys.stderr.flush()
                for process in self.started:
                    process.kill()
                os._exit(LOST)

    def end(self) -> None:
        """Wait for the processes that this one started; they end on their own if the run succeeded."""
        self.ending.set()
        if not self.started:
            return
        if sys.exc_info()[0] is not None:
            for process in self.started:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        deadline = time.monotonic() + _END_S
        for process in self.started:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:  # it waits for others in a step
                process.kill()
                process.wait()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for variable in _VARIABLES:
            os.environ.pop(variable, None)

    def explained(self) -> str:
        """Message that names the lost process."""
        expected = "trainer.devices: expected all processes to stay alive"
        if self._orphaned():
            return f"{expected}, got the death of the first process (pid {self.first})"
        for rank, process in enumerate(self.started, 1):
            if code := process.poll():
                how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
                memory = "; most likely it ran out of memory" if code == -signal.SIGKILL else ""
                return f"{expected}, got one that {how} (process {rank}, pid {process.pid}){memory}"
        return f"{expected}, got one that no longer answers"

    def _orphaned(self) -> bool:
        return self.first is not None and os.getppid() != self.first

    def _lost(self) -> bool:
        return self._orphaned() or any(process.poll() for process in self.started)


def launched_here(devices: object, nodes: object) -> list[LightningEnvironment]:
    """Trainer plugin that lets this process start the others, if Slurm started a single task for several devices.

    It lets jobs of a sweep use several GPUs of a machine: submitit would start the job once per task.
    """
    alone = SLURMEnvironment.detect() and os.environ.get("SLURM_NTASKS", "1") == "1"
    return [LightningEnvironment()] if alone and devices != 1 and nodes == 1 else []


@contextlib.contextmanager
def companions(job: Callable[[], bytes]) -> Iterator[None]:
    """Start other processes from `job` if the block trains with several, and end them with the block."""
    global _current
    if _current is None:  # otherwise another process started this one
        _current = Companions(job)
    try:
        yield
    except FaceFlowError:
        if not is_rank_zero():  # most likely the first one fails, too: it prints the error and ends this one
            time.sleep(_SAME_S)
        raise
    finally:
        ending, _current = _current, None
        ending.end()


def follow(first: int) -> None:
    """Mark this process as started by `first`, and end it when that one is gone."""
    global _current
    _current = Companions(bytes, first=first)
    threading.Thread(target=_current.watch, daemon=True).start()


def start_companions(trainer: L.Trainer, told: Callable[[], str]) -> None:
    """Start the other processes of a training; `told` says what is kept if one of them dies."""
    if _current is not None:
        _current.told = told
        _current.start(trainer)


def explain_lost_process(error: BaseException) -> str | None:
    """Message of one line that names the lost process of the run; None if an error has another cause.

    Raises:
        Terminated: the process ended with the whole run.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()) or not _of_processes(error):
        return None
    await_sigterm()
    here = _current or Companions(bytes)
    deadline = time.monotonic() + 2 * _POLL_S  # the connection ends before the process does
    while not here._lost() and time.monotonic() < deadline:
        time.sleep(_POLL_S / 5)
    return here.explained()


def _of_processes(error: BaseException) -> bool:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, torch.distributed.DistError):
            return True
        if isinstance(link, RuntimeError) and _LOST.search(str(link)):
            return True
        link = link.__cause__ or link.__context__
    return False
