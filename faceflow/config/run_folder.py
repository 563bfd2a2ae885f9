"""The folder of a run: no two commands share one, and none overwrites another's results without being told to."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from faceflow.checks import check_boolean
from faceflow.config.named_paths import check_name, check_named
from faceflow.config.reuse import KEY, check_kind, check_reuse, runs_in_parts, started_again
from faceflow.config.run_files import remove_run, remove_scores, results_in
from faceflow.errors import ConfigError
from faceflow.files import Claim, claim, new_folder
from faceflow.storage.urls import is_url

log = logging.getLogger(__name__)

_TIME = "${now:"  # in the name of a folder that the user did not choose
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "NODE_RANK", "GROUP_RANK")
_HYDRA = ".hydra"
_current: RunFolder | None = None


@dataclass(kw_only=True)
class RunFolder:
    """The folder that this command writes to.

    If it has `results` of an earlier run, the command continues them or replaces them (`overwrite`); they do not change
    before `settle`. Until then Hydra's records are in `staged`, and `logged` is the size of the log when the command
    started. `shared`: other parts of the same protocol can run at the same time. `empty_handed`: a process that writes
    no results, because the first process of its run does, in another folder.
    """

    folder: Path
    log: Path
    shared: bool
    empty_handed: bool
    claims: list[Claim] = field(default_factory=list)
    results: bool = False
    overwrite: bool = False
    staged: Path | None = None
    logged: int = 0
    settled: bool = False

    def settle(self) -> None:
        """Take the folder over; see the function of this name."""
        if self.settled or not self.results:
            return
        if self.overwrite:
            remove_run(self.folder, keep=self.log)
            _drop(self.log, self.logged)
        elif removed := remove_scores(self.folder):
            log.info("Removed %s: these results covered fewer epochs or folds", ", ".join(removed))
        if self.staged is not None and self.staged.is_dir():
            shutil.rmtree(self.folder / _HYDRA, ignore_errors=True)
            self.staged.replace(self.folder / _HYDRA)
        self.settled = True

    def leave(self) -> None:
        """Let others write to the folder; after a refusal its content is as before."""
        if self.results and not self.settled:
            if self.staged is not None:
                shutil.rmtree(self.staged, ignore_errors=True)
            if not self.shared:
                with contextlib.suppress(OSError):
                    os.truncate(self.log, self.logged)
        if self.empty_handed and not results_in(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        for held in self.claims:
            held.release()


def enter_folder(config: DictConfig) -> None:
    """Claim the run folder of a composed command before Hydra creates it and writes to it.

    If a folder with the time in its name is taken, another name is used. All processes of a run may use the folder of
    the first one.

    Raises:
        ConfigError: it has no name, another command still writes to it, or it has results that this command neither
            continues nor may replace.
        DataError: it cannot be written.
    """
    global _current
    with _resolvers(config):
        check_named(config)
        name, timed = str(config.hydra.run.dir), is_timed(config.hydra.run)
        check_name(name, key=KEY)
        if is_url(name):
            raise ConfigError(
                f"{KEY}: expected a folder on this machine, got '{name}'; to copy the run to a store, set mirror={name}"
            )
        follows = other_rank(config.get("trainer") or {}) != 0
        if follows and not OmegaConf.is_missing(config.hydra, "job_logging"):
            # The first process logs everything except errors.
            _set(config.hydra.job_logging.root, handlers=["console"], level="ERROR")
        if follows and not timed:
            _set(config.hydra, output_subdir=None)
            started_again(config, Path(name))  # as the first process does
            return
        overwrite, part = config.get("overwrite", False), runs_in_parts(config)
        check_boolean(overwrite, key="overwrite")
        folder = (new_folder(Path(name)) if timed else Path(name)).absolute()
        written = folder / f"{config.hydra.job.name}.log"
        _current = here = RunFolder(folder=folder, log=written, shared=part, empty_handed=follows)
        if timed:
            _set(config.hydra.run, dir=str(folder))
        if not part:  # otherwise each fold is claimed separately
            here.claims.append(claim(folder, key=KEY, folder=True))
        _set(config.hydra.runtime, output_dir=str(folder))
        check_kind(folder)
        if not results_in(folder):
            return
        check_reuse(config, folder, overwrite=overwrite, part=part)
        here.results, here.overwrite = True, bool(config.get("overwrite", False))  # false where Slurm restarts the job
        here.logged = here.log.stat().st_size if here.log.is_file() else 0
        if config.hydra.output_subdir == _HYDRA:
            for left in folder.glob(f"{_HYDRA}.*.tmp"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            here.staged = folder / f"{_HYDRA}.{os.getpid()}.tmp"
            _set(config.hydra, output_subdir=here.staged.name)


def is_timed(node: DictConfig) -> bool:
    """True if the `dir` of a Hydra node is named by the time, so that another free name can be used."""
    plain: Any = OmegaConf.to_container(node, resolve=False)
    return _TIME in str(plain["dir"])


def claim_fold(folder: Path) -> None:
    """Claim the folder of a fold until the command ends, in the first process of a run.

    Raises:
        ConfigError: another command still writes to it.
        DataError: it cannot be written.
    """
    if _current is not None:  # next to the fold, so that its folder only ever contains results
        _current.claims.append(claim(folder, key=KEY, folder=False))


def settle() -> None:
    """Take over the run folder after the command has passed its checks; results to be replaced are removed now."""
    if _current is not None:
        _current.settle()


def leave_folder() -> None:
    """End the claim of this process, if it has one."""
    global _current
    if _current is not None:
        here, _current = _current, None
        here.leave()


def other_rank(trainer: Mapping[str, Any]) -> int:
    """Number of this process if several train together and it is not the first one, otherwise 0; as in Lightning.

    Args:
        trainer: settings of the config's node.
    """
    if trainer.get("devices", 1) == 1 and trainer.get("num_nodes", 1) == 1:
        return 0  # whatever number a launcher assigned
    return int(next((os.environ[name] for name in _RANKS if name in os.environ), "0"))


def _drop(path: Path, count: int) -> None:
    """Remove the first bytes of a log that is open for appending."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        rest = file.read()[count:]
        file.seek(0)
        file.write(rest)
        file.truncate()


def _set(node: DictConfig, **values: Any) -> None:
    with read_write(node), open_dict(node):
        for key, value in values.items():
            node[key] = value


@contextlib.contextmanager
def _resolvers(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` resolve, as it does when the job runs."""
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(config)
    try:
        yield
    finally:
        hydra.cfg = before
