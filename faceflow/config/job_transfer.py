"""A running job as bytes, so that another process of this machine works by the same config."""

from __future__ import annotations

import pickle
import sys

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig


def packed_job(config: DictConfig) -> bytes:
    """Pack the config of the job that runs, what Hydra knows of it, and where this process finds modules."""
    return pickle.dumps((sys.path, config, HydraConfig.instance().cfg))


def unpacked_job(content: bytes) -> DictConfig:
    """Make this process one of the job that another one packed, and return its config."""
    setup_globals()
    sys.path[:], config, HydraConfig.instance().cfg = pickle.loads(content)
    assert isinstance(config, DictConfig)
    return config
