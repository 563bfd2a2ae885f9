"""Run a command's task in this process, as its command line does, then restore the process."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from faceflow.config.run_folder import enter_folder, leave_folder
from faceflow.errors import ConfigError
from faceflow.storage.cache import leave_caches

T = TypeVar("T")

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT")  # Lightning handles them, and ignores the first
_one_run = threading.RLock()  # random numbers, logging and the run folder are those of the process


def run_in_process(config: DictConfig, task: Callable[[DictConfig], T]) -> T:
    """Run the task of a command, in its run folder if it has one, and restore the process afterwards.

    One task runs at a time; calls from other threads wait. While it runs, logging has the handlers of the config,
    except the terminal handler if the program has its own handlers.

    Args:
        config: from `compose`, with its `hydra` node.
        task: takes the config without that node.

    Raises:
        ConfigError: the config describes a sweep, or its run folder cannot be used; see `enter_folder`.
        DataError: the run folder cannot be written.
    """
    if config.hydra.mode is RunMode.MULTIRUN or config.get("resume_sweep") is not None:
        raise ConfigError(
            "hydra.mode: expected one run, got a sweep; call this once per value, or sweep on the command line"
        )
    config.hydra.mode = RunMode.RUN
    with _one_run, _process_restored():
        try:
            if config.hydra.output_subdir is not None:  # else a command without a run folder
                enter_folder(config)
            return _run(config, task)
        finally:
            leave_folder()
            leave_caches()


def _run(config: DictConfig, task: Callable[[DictConfig], T]) -> T:
    done: list[T] = []
    failed: list[Exception] = []

    def job(own: DictConfig) -> None:
        try:
            with _logged():
                done.append(task(own))
        except Exception as error:  # Hydra would write to stderr and raise it again
            failed.append(error)

    context: Any = HydraContext(config_loader=None, callbacks=Callback())  # type: ignore[arg-type]
    run_job(
        hydra_context=context,
        task_function=job,
        config=config,
        job_dir_key="hydra.run.dir",
        job_subdir_key=None,
        configure_logging=False,
    )
    if failed:
        raise failed[0]
    return done[0]


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Log as a command does.

    By hand, not by `logging.config.dictConfig`, which closes the handlers of the program around us.
    """
    root, node = logging.getLogger(), cast(DictConfig, HydraConfig.get().job_logging)
    settings: Any = OmegaConf.to_container(node, resolve=True)
    build = logging.config.DictConfigurator(settings)
    parts = build.config  # not the settings: these read ext://sys.stderr as what it names
    parts["formatters"] = {name: build.configure_formatter(one) for name, one in parts["formatters"].items()}
    names = [name for name in parts["root"]["handlers"] if name != "console" or not root.handlers]
    added: list[Any] = [build.configure_handler(parts["handlers"][name]) for name in names]
    for handler in added:
        root.addHandler(handler)
    root.setLevel(min(root.level, logging.getLevelName(parts["root"]["level"])))
    try:
        yield
    finally:
        for handler in added:
            root.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def _process_restored() -> Iterator[None]:
    """Restore what a command and its libraries set: levels of loggers, filters of warnings, variables, signals."""
    environment = dict(os.environ)
    loggers = [log for log in logging.root.manager.loggerDict.values() if isinstance(log, logging.Logger)]
    levels = {log: log.level for log in (logging.root, *loggers)}
    main = threading.current_thread() is threading.main_thread()
    known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)] if main else []
    handlers = {number: signal.getsignal(number) for number in known}
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands do, where torch is not yet imported
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) != handler and handler is not None:
                signal.signal(number, handler)
        for logger, level in levels.items():
            logger.setLevel(level)
        for variable in set(os.environ) - set(environment):
            del os.environ[variable]
        os.environ.update(environment)
