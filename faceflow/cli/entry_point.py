"""What all commands share: built-in configs, errors in one line, exit codes."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faceflow.checks import check_texts
from faceflow.cli.argument_checks import check_arguments, own_folders, with_image_size
from faceflow.cli.arguments import ordered
from faceflow.cli.extras import check_extra
from faceflow.cli.help import asks_for_help, help_text
from faceflow.cli.messages import one_line
from faceflow.cli.shell import check_working_directory, no_more_files, prepare_streams
from faceflow.config.named_paths import check_named
from faceflow.config.path_arguments import literal_paths
from faceflow.config.paths import config_dir
from faceflow.config.run_folder import leave_folder
from faceflow.config.sections import check_composed
from faceflow.config.short_keys import spelled_out
from faceflow.config.user_files import config_files_named
from faceflow.errors import FaceFlowError
from faceflow.interruption import Terminated, kept, terminable, told
from faceflow.storage.cache import leave_caches
from faceflow.wheels import missing_library

log = logging.getLogger("faceflow")

Task = Callable[[DictConfig], float | None]
USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143
READER_GONE = 141
_MISTAKES = (FaceFlowError, HydraException, OmegaConfBaseException)


def entry_point(config_name: str) -> Callable[[Task], Callable[[], None]]:
    """Turn a task into a command.

    Exit codes: 0 success, 1 internal error (with a traceback), 2 invalid input (one line), 130 interrupted by Ctrl-C,
    143 terminated by SIGTERM (one line that says what is kept and how to continue). A sweep exits with 1 if a job has
    no result.

    Args:
        config_name: primary config of the command.
    """
    explain = functools.partial(one_line, command=config_name)

    def decorate(task: Task) -> Callable[[], None]:
        @functools.wraps(task)
        def run(cfg: DictConfig) -> float | None:
            try:
                check_extra(config_name)
                check_texts(OmegaConf.to_container(cfg), key="")
                check_composed(config_name, cfg)
                check_named(cfg)
                with kept(_start_again):
                    if HydraConfig.get().mode is RunMode.MULTIRUN and HydraConfig.get().output_subdir is not None:
                        from faceflow.sweep.job import run_job

                        return run_job(task, cfg, explain)
                    return task(cfg)
            except BrokenPipeError:  # as in `faceflow-test ... | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again when it exits
                sys.exit(READER_GONE)
            except (*_MISTAKES, OSError) as error:
                if not _is_mistake(error):
                    raise
                log.error("%s", explain(error))
                if HydraConfig.get().mode is RunMode.MULTIRUN:
                    raise  # SystemExit would keep the remaining jobs from running
                sys.exit(USER_ERROR)

        command = hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(run)

        @functools.wraps(task)
        def main() -> None:
            prepare_streams()
            if asks_for_help(sys.argv[1:]):
                sys.stdout.write(help_text(config_name, sys.argv[1:]))
                return
            with terminable():
                try:
                    code = _exit_code(command, config_name, explain)
                except KeyboardInterrupt as stop:  # while it printed how it ended
                    code, message = _stopped(stop)
                    _say(message)
            if code in (INTERRUPTED, TERMINATED):  # pools and threads that were just stopped may fail at shutdown
                sys.unraisablehook = lambda lost: None
            if code:
                sys.exit(code)

        return main

    return decorate


def _is_mistake(error: BaseException) -> bool:
    """True if the user can fix an error: in the input, a config or a file, or a limit on open files."""
    if isinstance(error, OSError) and not isinstance(error, _MISTAKES):
        return error.filename is not None or bool(no_more_files(error))
    return isinstance(error, _MISTAKES)


def _exit_code(command: Callable[[], None], name: str, explain: Callable[[BaseException], str]) -> int:
    """Run a command, and print one line about what went wrong or where it stopped."""
    # OpenMP threads that spin while waiting take cores from the loader processes: on two busy cores a training step
    # became four times slower. Must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print its own errors in several lines and exit with 1
    from faceflow.sweep.search import register
    from faceflow.sweep.session import command_line, end_sweep

    register()
    code, message = 1, ""
    try:
        with kept(_start_again):
            check_working_directory()
            arguments = spelled_out(name, ordered(sys.argv[1:], name))
            sys.argv[1:] = command_line(literal_paths(arguments))
            with config_files_named(own_folders(sys.argv[1:])):
                check_arguments(name, sys.argv[1:])
                sys.argv[1:] = with_image_size(name, sys.argv[1:])
                command()
        code = 0
    except (*_MISTAKES, OSError) as error:
        if not _is_mistake(error):
            raise
        code = USER_ERROR
        message = explain(error)
    except ImportError as error:
        if not (reason := missing_library(error)):
            raise
        code, message = USER_ERROR, f"ConfigError: expected all packages to import, got {reason}"
    except SystemExit as end:
        code = _code_of(end)
    except KeyboardInterrupt as stop:
        code, message = _stopped(stop)
    finally:
        leave_folder()
        leave_caches()
        stopped = code in (INTERRUPTED, TERMINATED)
        sweep = end_sweep(refused=code != 0, stopped=stopped)
    if sweep is None:
        _say(message)
        return code
    if stopped:
        _say(f"{message.partition(':')[0]}: {sweep.kept}")
        return code
    if message not in [job.error for job in sweep.missing]:  # the sweep has printed those
        _say(message)
    return 1 if sweep.missing else code


def _stopped(stop: KeyboardInterrupt) -> tuple[int, str]:
    """Exit code and message of a command that was stopped."""
    logging.getLogger("torch").setLevel(
        logging.WARNING
    )  # if stopped during its import, torch would log statistics at exit
    return (TERMINATED if isinstance(stop, Terminated) else INTERRUPTED), told(stop)


def _start_again() -> str:
    """What to do if nothing was kept; printed by the first process of a run."""
    return "rerun the same command" if os.environ.get("LOCAL_RANK", "0") == "0" else ""


def _code_of(end: SystemExit) -> int:
    if isinstance(end.code, str):
        _say(end.code)
        return 1
    return end.code or 0


def _say(message: str) -> None:
    if message:
        sys.stderr.write(f"{message}\n")
