"""A running job as bytes, so that another process on this machine uses the same config."""

from __future__ import annotations

import pickle
import sys
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf


def packed_job(config: DictConfig) -> bytes:
    """Pack the config of the running job, Hydra's config and this process's module path."""
    return pickle.dumps((sys.path, _untyped(config), _untyped(HydraConfig.instance().cfg)))


def unpacked_job(content: bytes) -> DictConfig:
    """Make this process part of the job that another process packed, and return its config."""
    setup_globals()
    sys.path[:], config, HydraConfig.instance().cfg = pickle.loads(content)
    assert isinstance(config, DictConfig)
    return config


def _untyped(config: Any) -> DictConfig:
    """The same values and interpolations; in a job of submitit, types of the launcher's plugin cannot be pickled."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return DictConfig(plain)
