"""A running job as bytes, so that another process of this machine works by the same config."""

from __future__ import annotations

import pickle
import sys
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf


def packed_job(config: DictConfig) -> bytes:
    """Pack the config of the job that runs, what Hydra knows of it, and where this process finds modules."""
    return pickle.dumps((sys.path, _untyped(config), _untyped(HydraConfig.instance().cfg)))


def unpacked_job(content: bytes) -> DictConfig:
    """Make this process one of the job that another one packed, and return its config."""
    setup_globals()
    sys.path[:], config, HydraConfig.instance().cfg = pickle.loads(content)
    assert isinstance(config, DictConfig)
    return config


def _untyped(config: Any) -> DictConfig:
    """The same values and interpolations; in a job of submitit, types of the launcher's plugin cannot be pickled."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return DictConfig(plain)
