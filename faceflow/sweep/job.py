"""A job of a sweep: runs in its own folder and leaves a record of its outcome."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from faceflow.config.run_files import results_in
from faceflow.errors import ConfigError, DataError
from faceflow.files import hold, whole_file

RECORD, OUTPUT = "job.json", "output.txt"
RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Outcome of a job.

    `overrides` are those of its command line except the launcher, `value` is its return value (the best of `monitor`),
    `error` says in one line why it failed. A job that was killed stays `running`.
    """

    number: int
    overrides: tuple[str, ...]
    status: str
    seconds: float
    value: float | None
    error: str | None

    @property
    def settings(self) -> dict[str, str]:
        """Values by key, as they were given."""
        pairs = (override.lstrip("+").partition("=") for override in self.overrides)
        return {key: value for key, _, value in pairs}

    def described(self, keys: Collection[str]) -> str:
        """Describe it by some of its settings."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items() if key in keys)


def read_job(folder: Path) -> Job | None:
    """Record of the job in a folder; None if there is none.

    Raises:
        DataError: the record cannot be read.
    """
    try:
        raw = json.loads((folder / RECORD).read_text("utf-8"))
        return Job(**{**raw, "overrides": tuple(raw["overrides"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder / RECORD}: expected a job's record, got {error}; remove its folder") from error


def close_records(folder: Path) -> None:
    """Mark jobs as interrupted that had no time to write it themselves, because joblib killed them."""
    for path in folder.glob(f"*/{RECORD}"):
        with contextlib.suppress(DataError, OSError):  # the summary reports what cannot be read
            job = read_job(path.parent)
            if job is not None and job.status == RUNNING:
                with (path.parent / OUTPUT).open("a", encoding="utf-8") as output:
                    if hold(output):
                        _write(path.parent, dataclasses.replace(job, status=INTERRUPTED))


def without_launcher(overrides: Iterable[str]) -> tuple[str, ...]:
    """Overrides that decide what a job does, not where it runs, which can change when its sweep is resumed."""
    return tuple(override for override in overrides if not override.startswith("launcher="))


def run_job(
    task: Callable[[DictConfig], float | None], cfg: DictConfig, explain: Callable[[BaseException], str]
) -> float | None:
    """Run a task as a job of the current Hydra sweep, with its stdout written to output.txt.

    A job that finished earlier is not run again, and an interrupted one continues from its last checkpoint.

    Args:
        task: function to run.
        cfg: its config.
        explain: describes an error in one line.

    Raises:
        ConfigError: the folder holds another job or a run, or another process still runs this job.
    """
    _settle_in_joblib()
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    job = Job(
        number=hydra.job.num,
        overrides=without_launcher(hydra.overrides.task),
        status=RUNNING,
        seconds=0.0,
        value=None,
        error=None,
    )
    with (folder / OUTPUT).open("a", encoding="utf-8") as output:
        alone, earlier = hold(output), read_job(folder)
        if earlier is not None:
            _check_same(earlier, job, folder)
        elif found := results_in(folder):
            raise ConfigError(
                f"hydra.sweep.subdir: expected a folder without results, got '{folder}' with "
                f"{found[0].relative_to(folder)} of a run; choose another folder"
            )
        if not alone:
            raise ConfigError(
                f"{folder}: expected a job that is not running, got one that still is, perhaps from a killed sweep; "
                "wait for it or stop it, then start the sweep again"
            )
        if earlier is not None:
            if earlier.status == FINISHED:
                return earlier.value
            if "resume" in cfg and cfg.resume is None and (last := folder / "checkpoints" / "last.ckpt").exists():
                cfg.resume = str(last)
        with contextlib.redirect_stdout(output):
            return _recorded(task, cfg, job, folder, explain)


def _recorded(
    task: Callable[[DictConfig], float | None],
    cfg: DictConfig,
    job: Job,
    folder: Path,
    explain: Callable[[BaseException], str],
) -> float | None:
    """Run a task, and record its start and its end."""
    started = time.monotonic()

    def ended(status: str, *, value: float | None = None, error: str | None = None) -> None:
        seconds = round(time.monotonic() - started, 1)
        _write(folder, dataclasses.replace(job, status=status, seconds=seconds, value=value, error=error))

    _write(folder, job)
    try:
        value = task(cfg)
    except KeyboardInterrupt:
        ended(INTERRUPTED)
        raise
    except (Exception, SystemExit) as error:
        ended(FAILED, error=explain(error))
        raise
    ended(FINISHED, value=value)
    return value


def _settle_in_joblib() -> None:
    """In a joblib process, let jobs start processes of their own, and end with the sweep if it is killed.

    Joblib sets a start method that cannot start other processes, and its processes outlive their parent, waiting for
    more jobs.
    """
    usual = multiprocessing.get_all_start_methods()
    if multiprocessing.get_start_method(allow_none=True) not in (None, *usual):
        multiprocessing.set_start_method(usual[0], force=True)
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone; joblib offers no handle to wait for it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(1)
    os._exit(1)


def _check_same(earlier: Job, job: Job, folder: Path) -> None:
    if earlier.number != job.number:
        raise ConfigError(
            f"hydra.sweep.subdir: expected a folder per job, got {folder.name} for jobs {earlier.number} and "
            f"{job.number}; put ${{hydra.job.num}} into it"
        )
    if earlier.overrides != job.overrides:
        raise ConfigError(
            f"hydra.sweep.dir: expected an empty folder or the same sweep, got {folder} with the results of "
            f"{' '.join(earlier.overrides)}; choose another folder"
        )


def _write(folder: Path, job: Job) -> None:
    with whole_file(folder / RECORD) as partial:
        partial.write_text(json.dumps(dataclasses.asdict(job), indent=2) + "\n", encoding="utf-8")
