"""A sweep in the process that starts it: checks before the first job, and the summary after the last."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from faceflow.config.named_paths import check_name, check_named
from faceflow.config.run_files import results_in
from faceflow.config.run_folder import is_timed
from faceflow.errors import ConfigError, FaceFlowError
from faceflow.files import Claim, claim, new_folder
from faceflow.sweep.job import FINISHED, Job, close_records, without_launcher
from faceflow.sweep.job_lines import JobLines
from faceflow.sweep.plan import STORED, size_of, stored_sweep

RESUME = "resume_sweep="
_FLAGS = ("-m", "--multirun")
_LOOKS = ("--cfg", "-c", "--info", "-i")  # of Hydra; they show one job


@dataclass(frozen=True, kw_only=True)
class _Running:
    """The sweep of this process.

    `command` started it, `ends_jobs`: whether its jobs end when it is stopped, `summarise` reads their records.
    """

    progress: JobLines
    command: str
    ends_jobs: bool
    summarise: Callable[..., Sequence[Job]]


_running: _Running | None = None
_claim: Claim | None = None


class SweepStart(Callback):
    """Hydra calls it once, before the first job."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check the sweep and begin to watch it; exits on errors, as Hydra turns errors of callbacks into warnings."""
        global _running
        if config.hydra.output_subdir is None:  # a command without a run folder
            return
        # Not at its end: a module whose import is stopped by a signal cannot be imported again.
        from faceflow.sweep.overview import summarize_sweep

        try:
            total, keys = size_of(config.hydra)
            check_named(config)
            check_name(str(config.hydra.sweep.dir), key="hydra.sweep.dir")
            _check_launcher(config)
            _check_overwrite(config.hydra.overrides.task)
            folder = _claim_folder(config.hydra)
            _check_folder(folder, config.hydra.overrides.task)
        except FaceFlowError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.exit(2)
        sys.stdout.write(f"Sweep of {total} jobs in {folder}\n")
        command = f"faceflow-{config.hydra.job.name}"
        sys.stdout.write(f"To resume after an interruption, run: {command} {quote(f'{RESUME}{folder}')}\n")
        _running = _Running(
            progress=JobLines(folder, total, keys, sys.stdout),
            command=command,
            ends_jobs="submitit" not in str(config.hydra.launcher._target_),  # its jobs are processes of their own
            summarise=summarize_sweep,
        )


@dataclass(frozen=True, kw_only=True)
class SweepEnd:
    """Result of a sweep: records of the jobs that started, and how to run the others.

    `planned` is the number of jobs, `command` the one that started the sweep.
    """

    jobs: Sequence[Job]
    planned: int
    command: str
    folder: Path

    @property
    def missing(self) -> list[Job]:
        """Jobs without a result."""
        return [job for job in self.jobs if job.status != FINISHED]

    @property
    def kept(self) -> str:
        """Says what is kept and how to continue, after the sweep was stopped."""
        finished = len(self.jobs) - len(self.missing)
        return (
            f"{finished} of {self.planned} jobs finished; to resume, run: "
            f"{self.command} {quote(f'{RESUME}{self.folder}')}"
        )


def end_sweep(*, refused: bool, stopped: bool) -> SweepEnd | None:
    """Show the result of the sweep that this process started.

    Args:
        refused: whether an error ended it; if that was before the first job, nothing is shown.
        stopped: whether Ctrl-C or SIGTERM ended it.

    Returns:
        The result; None if this process started no sweep, or the sweep started no job.
    """
    global _running, _claim
    running, _running = _running, None
    held, _claim = _claim, None
    try:
        return None if running is None else _end(running, refused=refused, stopped=stopped)
    finally:
        if held is not None:
            held.release()


def _end(running: _Running, *, refused: bool, stopped: bool) -> SweepEnd | None:
    progress = running.progress
    if stopped and running.ends_jobs:
        close_records(progress.folder)
    progress.close()
    if refused and not progress.told:
        return None
    jobs = running.summarise(progress.folder, metric=None)
    planned = max(len(jobs), progress.total)
    return SweepEnd(jobs=jobs, planned=planned, command=running.command, folder=progress.folder)


def command_line(arguments: list[str]) -> list[str]:
    """Command line of the sweep of `resume_sweep=DIR`; other command lines get -m in front, where Hydra needs it.

    Raises:
        ConfigError: there is no sweep in the folder, further overrides would change it, or an option that shows one job
            is given for a sweep.
    """
    rest = [argument for argument in arguments if argument not in _FLAGS]
    asked = [argument for argument in rest if argument.startswith(RESUME)]
    look = next((argument for argument in rest if argument.partition("=")[0] in _LOOKS), None)
    if look and (asked or len(rest) < len(arguments)):
        raise ConfigError(
            f"{look}: expected the settings of one job, got a sweep; give each key one value and leave -m out"
        )
    if not asked:
        return [*(argument for argument in arguments if argument in _FLAGS), *rest]
    folder = Path(asked[-1].removeprefix(RESUME)).expanduser().absolute()
    hydra = stored_sweep(folder)
    rest = [argument for argument in rest if argument not in asked]
    if strange := [argument for argument in rest if _is_task_override(argument)]:
        raise ConfigError(
            f"resume_sweep: expected no other settings beside it, got '{strange[0]}'; the sweep is repeated as it was "
            "started, and only launcher=... and hydra.*=... can change"
        )
    replaced = {_key(argument) for argument in rest} | {"hydra.sweep.dir", "hydra.mode"}
    kept = [str(override) for override in (*hydra.overrides.task, *hydra.overrides.hydra)]
    kept = [override for override in kept if _key(override) not in replaced]
    return ["-m", *rest, *kept, f"hydra.sweep.dir={_quoted(str(folder))}"]


def _check_launcher(config: DictConfig) -> None:
    """Check that jobs can be sent from this machine.

    Raises:
        ConfigError: this machine has no Slurm.
    """
    if config.hydra.runtime.choices["hydra/launcher"] == "submitit_slurm" and shutil.which("srun") is None:
        raise ConfigError(
            "launcher=slurm: expected Slurm's srun on the PATH, got none; start the sweep on a node of the cluster, or "
            "use launcher=submitit_local on this machine"
        )


def _claim_folder(hydra: DictConfig) -> Path:
    """Claim the folder of the sweep; if its name holds the time and is taken, use a new name."""
    global _claim
    folder = Path(hydra.sweep.dir).absolute()
    if is_timed(hydra.sweep):
        folder = new_folder(folder)
        with read_write(hydra), open_dict(hydra):
            hydra.sweep.dir = str(folder)
            hydra.overrides.hydra.append(f"hydra.sweep.dir={_quoted(str(folder))}")  # jobs are composed of these
    _claim = claim(folder, key="hydra.sweep.dir", folder=True)
    return folder


def _check_overwrite(overrides: Sequence[str]) -> None:
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group == "overwrite" and override.value() is not False:
            raise ConfigError(
                f"overwrite: expected false in a sweep, which keeps the jobs that finished, got {override.value()}; "
                "choose another hydra.sweep.dir, or remove the folder"
            )


def _check_folder(folder: Path, overrides: Sequence[str]) -> None:
    """Check that the folder holds no other sweep: this one would replace what `resume_sweep` reads.

    Raises:
        ConfigError: the folder holds a run, another sweep, or one that cannot be read.
    """
    if not (folder / STORED).exists():
        if found := results_in(folder):
            raise ConfigError(
                f"hydra.sweep.dir: expected an empty folder or the same sweep, got '{folder}' with "
                f"{found[0].relative_to(folder)} of a run; choose another folder"
            )
        return
    theirs, ours = (set(without_launcher(each)) for each in (stored_sweep(folder).overrides.task, overrides))
    if different := sorted(theirs ^ ours):
        raise ConfigError(
            f"hydra.sweep.dir: expected an empty folder or the same sweep, got {folder} with another one (see "
            f"{different[0]}); choose another folder, or {quote(f'{RESUME}{folder}')} alone"
        )


def _is_task_override(argument: str) -> bool:
    return (
        "=" in argument
        and not argument.startswith("-")
        and _key(argument).split(".")[0].split("/")[0]
        not in (
            "hydra",
            "launcher",
        )
    )


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _quoted(path: str) -> str:
    return QuotedString(text=path, quote=Quote.single).with_quotes()
