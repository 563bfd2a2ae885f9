"""What all commands share: built-in configs, errors in one line, exit codes."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faceflow.cli.messages import one_line
from faceflow.config.checks import check_texts
from faceflow.config.paths import config_dir
from faceflow.config.run_folder import leave_folder
from faceflow.errors import ConfigError, FaceFlowError

log = logging.getLogger("faceflow")

Task = Callable[[DictConfig], float | None]
USER_ERROR = 2
INTERRUPTED = 130
_MISTAKES = (FaceFlowError, HydraException, OmegaConfBaseException)

# hydra-core 1.3.8 copies its store, of which there is one and which it does not change, for every group of configs that
# --help lists: more than half of the time that --help takes. Obsolete when --help is as fast without this line.
ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]


def entry_point(config_name: str, *, extra: str, modules: Sequence[str]) -> Callable[[Task], Callable[[], None]]:
    """Turn a task into a command.

    Exit codes: 0 done, 1 a bug of ours (with a traceback), 2 a mistake in the input (one line), 130 interrupted.

    Args:
        config_name: primary config of the command.
        extra: optional dependencies that the command needs, for the message where they lack.
        modules: top-level modules of that extra.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @functools.wraps(task)
        def run(cfg: DictConfig) -> float | None:
            try:
                _check_installed(config_name, extra, modules)
                check_texts(OmegaConf.to_container(cfg), key="")
                if HydraConfig.get().mode is RunMode.MULTIRUN and HydraConfig.get().output_subdir is not None:
                    from faceflow.sweep.job import run_job

                    return run_job(task, cfg, one_line)
                return task(cfg)
            except _MISTAKES as error:
                log.error("%s", one_line(error))
                if HydraConfig.get().mode is RunMode.MULTIRUN:
                    raise  # SystemExit would keep the remaining jobs from running
                sys.exit(USER_ERROR)

        command = hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(run)

        @functools.wraps(task)
        def main() -> None:
            # OpenMP threads that spin while they wait take the cores from the loader processes: on two busy cores a
            # training step became four times as slow. Must be set before torch is imported.
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print its own errors in several lines and exit with 1
            from faceflow.sweep.search import register
            from faceflow.sweep.session import command_line, end_sweep

            register()
            code, message = 1, ""
            try:
                sys.argv[1:] = command_line(sys.argv[1:])
                command()
                code = 0
            except (*_MISTAKES, OSError) as error:
                if not isinstance(error, _MISTAKES) and error.filename is None:
                    raise
                code = USER_ERROR
                message = one_line(error)
            except KeyboardInterrupt:
                code, message = INTERRUPTED, "Interrupted."
            finally:
                leave_folder()
                missing = end_sweep(refused=code != 0)
            if code and message not in [job.error for job in missing]:  # the sweep has said those
                sys.stderr.write(f"{message}\n")
            if missing and code != INTERRUPTED:
                code = 1
            if code:
                sys.exit(code)

        return main

    return decorate


def _check_installed(name: str, extra: str, modules: Sequence[str]) -> None:
    if lacking := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise ConfigError(
            f"faceflow-{name}: expected {', '.join(lacking)} to be installed, got none; "
            f"run: pip install 'faceflow[{extra}]'"
        )
