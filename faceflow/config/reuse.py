"""Whether a command may write to a folder with the results of an earlier one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from typing import Any

from omegaconf import DictConfig, OmegaConf, read_write

from faceflow.config.run_files import CHECKPOINTS, fold_folders, results_in, run_files
from faceflow.config.stored import read_config
from faceflow.config.values import leaves
from faceflow.errors import ConfigError

KEY = "hydra.run.dir"
_LAST = "checkpoints/last.ckpt"
_PARTS = ("only", "domains", "datasets")  # of a protocol: which of its folds run
_OUTPUTS = ("hydra", "paths", "callbacks", "logger", "trainer")  # keys that name files which a command writes


def runs_in_parts(config: DictConfig) -> bool:
    """True if a command runs only some folds of its protocol; others may run elsewhere."""
    protocol = config.get("protocol") or {}
    return any(protocol.get(key) is not None for key in _PARTS)


def check_kind(folder: Path) -> None:
    """Keep a run out of the folders of sweeps.

    Raises:
        ConfigError: the folder belongs to a sweep.
    """
    if (folder / "multirun.yaml").exists():
        raise ConfigError(f"{KEY}: expected the folder of one run, got the sweep '{folder}'; choose another folder")
    if (folder / "job.json").exists():
        raise ConfigError(
            f"{KEY}: expected the folder of one run, got the sweep job '{folder}'; resume the sweep with "
            f"{quote(f'resume_sweep={folder.parent}')}, or choose another folder"
        )


def started_again(config: DictConfig, folder: Path) -> bool:
    """True if Slurm restarted this job after a failure or a requeue; the job then resumes.

    It resumes from its newest checkpoint, whatever `resume` named at first, and overwrites nothing.
    """
    if os.environ.get("SLURM_RESTART_COUNT", "0") == "0" or "resume" not in config:
        return False
    with read_write(config):
        config.overwrite = False
    found = [path for path in (folder / _LAST, *folder.glob(CHECKPOINTS[1])) if path.is_file()]
    if not found:
        return False
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    sys.stderr.write(f"WARNING Slurm restarted this job; it resumes from {newest}\n")
    with read_write(config):
        config.resume = str(newest)
    return True


def check_reuse(config: DictConfig, folder: Path, *, overwrite: bool, part: bool) -> None:
    """Check that a command may write to a folder with results.

    Raises:
        ConfigError: it neither continues them nor may replace them.
    """
    for key in ("preview", "report_only"):
        if config.get(key):
            raise ConfigError(
                f"{KEY}: expected a folder without results with {key}, got '{folder}'; choose another folder"
            )
    if started_again(config, folder):
        return
    overwrite = overwrite and bool(config.get("overwrite", True))
    resume = config.get("resume")
    own = (folder.resolve(), (folder / "checkpoints").resolve())  # of the run itself, not of a fold or run in it
    if resume and Path(resume).resolve().parent in own:
        if overwrite:
            raise ConfigError(
                f"overwrite: expected false with resume={resume}, which continues the results in its folder, got "
                "true; leave out one of the two"
            )
        return
    if overwrite:
        _check_overwrite(config, folder, part=part)
        return
    if "resume" in config and _goes_on(config, folder):
        return
    last = folder / _LAST
    found = results_in(folder)[0].relative_to(folder)
    on = f"resume it with {quote(f'resume={last}')}, " if "resume" in config and last.is_file() else ""
    a_training = "checkpoint" in config and any(path.suffix == ".ckpt" for path in run_files(folder))
    replace = "" if a_training else ", or replace them with overwrite=true"  # a test cannot write checkpoints again
    raise ConfigError(
        f"{KEY}: expected a folder without results, got '{folder}' with {found} of an earlier run; {on}choose another "
        f"folder{replace}"
    )


def _check_overwrite(config: DictConfig, folder: Path, *, part: bool) -> None:
    if part:
        raise ConfigError(
            "overwrite: expected false when only some folds run, because it removes all folds, got true; remove the "
            "folders of those folds instead"
        )
    removed = {path.resolve() for path in run_files(folder)}
    if "checkpoint" in config and (kept := [path for path in removed if path.suffix == ".ckpt"]):
        raise ConfigError(
            f"overwrite: expected a folder without checkpoints, which a test cannot write again, got '{folder}' with "
            f"{min(kept).name}; choose another folder"
        )
    inputs: Any = OmegaConf.masked_copy(config, [str(name) for name in config if name not in _OUTPUTS])
    for key, value in _texts(OmegaConf.to_container(inputs, resolve=False)).items():  # as the user named them
        if "\0" not in value and Path(value).resolve() in removed:
            raise ConfigError(
                f"{key}: expected a file that overwrite=true does not remove, got '{value}' in the run folder; choose "
                "another folder"
            )


def _goes_on(config: DictConfig, folder: Path) -> bool:
    """True if the command continues the folds in a folder.

    Raises:
        ConfigError: the folds belong to another protocol.
    """
    if not fold_folders(folder) or any(folder.glob(CHECKPOINTS[0])):
        return False
    theirs = _texts(read_config(folder).get("protocol"))
    ours = _texts(OmegaConf.to_container(config.protocol, resolve=True))
    for key in [name for name in theirs if name in ours]:
        if theirs[key] != ours[key] and key.partition(".")[0] not in _PARTS:
            raise ConfigError(
                f"protocol.{key}: expected {theirs[key]} as for the folds in '{folder}', got {ours[key]}; use the "
                f"protocol of that run, choose another {KEY}, or replace the folds with overwrite=true"
            )
    return True


def _texts(node: Any) -> dict[str, str]:
    """Leaves of nested containers as text, by dotted key; null and empty containers have none."""
    values = leaves(node, lists=True) if isinstance(node, dict) else {}
    return {key: str(value) for key, value in values.items() if value not in (None, {}, [])}
