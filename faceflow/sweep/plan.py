"""Plan of a sweep, from the config that Hydra keeps in its folder."""

from __future__ import annotations

import math
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faceflow.errors import ConfigError

STORED = "multirun.yaml"  # Hydra's name
_BASIC = ("BasicSweeper", "BasicLauncher")


def size_of(hydra: DictConfig) -> tuple[int, list[str]]:
    """Number of jobs, and the keys in which they differ.

    Raises:
        ConfigError: no key has several values.
    """
    sweeper = hydra.sweeper
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*params, *hydra.overrides.task])
    swept = {override.key_or_group: override for override in overrides if override.is_sweep_override()}
    if "n_trials" in sweeper:
        return int(sweeper.n_trials), list(swept)
    sizes = [len(list(override.sweep_iterator())) for override in swept.values()]
    basic = all(str(hydra[part]._target_).endswith(_BASIC) for part in ("sweeper", "launcher"))
    if not sizes and basic:
        raise ConfigError(
            "-m: expected a key with several values, such as seed=0,1, or sweep=PRESET, got none; leave -m out for a "
            "single run"
        )
    return math.prod(sizes), list(swept)


def stored_sweep(folder: Path) -> DictConfig:
    """Hydra's part of the config that started the sweep in a folder.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    try:
        stored = OmegaConf.load(folder / STORED)
        return DictConfig(OmegaConf.to_container(stored.hydra))
    except (OSError, AttributeError, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(
            f"resume_sweep: expected the folder of a sweep, with its multirun.yaml, got {folder} ({error}); see "
            "runs/train/sweep_*"
        ) from error


def planned_jobs(folder: Path) -> int:
    """Number of jobs of the sweep in a folder, including those not started; 0 if it is not known."""
    try:
        return size_of(stored_sweep(folder))[0]
    except (ConfigError, OmegaConfBaseException):
        return 0
