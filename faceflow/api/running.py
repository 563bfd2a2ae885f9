"""Commands inside another program: same checks and run folders, but errors are raised and global state is restored."""

from __future__ import annotations

import contextlib
import gc
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from faceflow.cli.extras import check_extra
from faceflow.cli.messages import one_line
from faceflow.config.composition import compose
from faceflow.config.in_process import run_in_process
from faceflow.config.named_paths import check_name
from faceflow.config.overrides import override_texts, spell_overrides
from faceflow.config.path_arguments import literal_paths
from faceflow.config.user_files import config_files_named
from faceflow.errors import ConfigError, DataError

T = TypeVar("T")


def run_command(
    command: str,
    values: Mapping[str, object],
    overrides: Sequence[str],
    config_dir: str | Path | None,
    task: Callable[[DictConfig], T],
) -> T:
    """Run the task of `faceflow-COMMAND`.

    Args:
        command: name of the command.
        values: settings by config key; None means the default of the config.
        overrides: further settings, written as on the command line; they take precedence over `values`.
        config_dir: folder of the user's own configs.
        task: called with the composed config.

    Raises:
        ConfigError: a setting is unknown or out of range, or asks for a sweep.
        FaceFlowError: the task failed.
    """
    texts = override_texts(overrides)
    if not isinstance(config_dir, str | Path | None):
        raise TypeError(f"config_dir: expected a str or a path, got {type(config_dir).__name__}")
    check_extra(command)
    with mistakes_raised(command):
        if config_dir is not None:
            check_name(str(config_dir), key="config_dir")
        further = None if config_dir is None else Path(config_dir).expanduser()
        with config_files_named([] if further is None else [further]):
            config = compose(command, [*spell_overrides(values), *literal_paths(texts)], further_dir=further)
        return run_in_process(config, task)


@contextlib.contextmanager
def mistakes_raised(command: str) -> Iterator[None]:
    """Turn errors of Hydra or the file system into ours, with the one line that `faceflow-COMMAND` prints."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error, command).removeprefix("ConfigError: ")) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise DataError(one_line(error, command).partition(": ")[2]) from error


@contextlib.contextmanager
def torch_restored() -> Iterator[None]:
    """Restore the random state and global switches of torch that training sets, and free its memory."""
    import numpy as np
    import torch

    cudnn, deterministic = torch.backends.cudnn, torch.are_deterministic_algorithms_enabled()
    warn_only, benchmark = torch.is_deterministic_algorithms_warn_only_enabled(), cudnn.benchmark
    plain, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:  # Lightning's isolate_rng restores nothing if an error or Ctrl-C ends the block
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        cudnn.benchmark = benchmark
        random.setstate(plain)
        np.random.set_state(arrays)
        torch.set_rng_state(tensors)
        torch.cuda.set_rng_state_all(gpus)
        gc.collect()  # trainer and network refer to each other


def check_one_device(trainer: DictConfig) -> None:
    """Refuse several devices: their processes would run the calling program again.

    Raises:
        ConfigError: more than one device or node.
    """
    devices = trainer.get("devices", 1)
    if str(devices) != "1" and (isinstance(devices, str | int) or len(devices) != 1):
        raise ConfigError(f"trainer.devices: expected 1 from Python, got {devices}; run faceflow-train for several")
    if trainer.get("num_nodes", 1) != 1:
        raise ConfigError(
            f"trainer.num_nodes: expected 1 from Python, got {trainer.num_nodes}; run faceflow-train for several"
        )
