"""A task inside a program: it runs like a command and leaves the program unchanged."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from faceflow.config.composition import compose
from faceflow.config.in_process import run_in_process
from faceflow.config.run_folder import settle
from faceflow.errors import ConfigError

log = logging.getLogger("faceflow.tests")


def config(folder: Path, *overrides: str) -> DictConfig:
    return compose("train", [f"hydra.run.dir={folder}", *overrides])


@contextmanager
def no_handlers() -> Iterator[None]:
    """Root logger of a program without logging setup, such as a notebook."""
    root = logging.getLogger()
    before, root.handlers[:] = list(root.handlers), []
    try:
        yield
    finally:
        root.handlers[:] = before


def state() -> dict[str, object]:
    root = logging.getLogger()
    return {
        "handlers": list(root.handlers),
        "levels": (root.level, logging.getLogger("faceflow.tests.known").level),
        "filters": list(warnings.filters),
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "folder": Path.cwd(),
        "standard streams": (sys.stdout, sys.stderr),
    }


def upset(_: DictConfig) -> None:
    """Change what libraries change."""
    logging.getLogger("faceflow.tests.known").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    os.environ["PL_GLOBAL_SEED"] = "3"
    os.environ.pop("PATH")
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def fail(_: DictConfig) -> None:
    upset(_)
    raise ConfigError("seed: expected another")


def interrupt(_: DictConfig) -> None:
    upset(_)
    raise KeyboardInterrupt


def test_the_task_sees_its_run_folder_and_its_result_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def task(own: DictConfig) -> str:
        assert "hydra" not in own
        assert HydraConfig.get().runtime.choices["method"] == "miro"
        assert (folder / ".claim").exists()
        return str(own.paths.output)

    assert run_in_process(config(folder, "method=miro", "seed=7"), task) == str(folder)
    assert OmegaConf.load(folder / ".hydra/config.yaml").seed == 7
    assert OmegaConf.load(folder / ".hydra/overrides.yaml") == ["method=miro", "seed=7"]
    assert not (folder / ".claim").exists()


@pytest.mark.parametrize("task", [upset, fail, interrupt])
def test_the_process_is_unchanged_whatever_the_task_does(task: object, tmp_path: Path) -> None:
    before = state()
    try:
        run_in_process(config(tmp_path / "run"), task)  # type: ignore[arg-type]
    except (ConfigError, KeyboardInterrupt):
        assert task is not upset
    assert state() == before


def test_it_works_inside_another_hydra_application(tmp_path: Path) -> None:
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        before = state()
        assert run_in_process(config(tmp_path / "run"), lambda own: own.seed) == 0
        assert state() == before


def test_a_program_without_logging_gets_the_lines_of_the_command(tmp_path: Path) -> None:
    stderr = io.StringIO()
    with no_handlers(), redirect_stderr(stderr):
        run_in_process(config(tmp_path / "run"), lambda own: log.warning("seed %d", own.seed))
    assert stderr.getvalue() == "WARNING seed 0\n"
    assert (tmp_path / "run/train.log").read_text("utf-8").endswith(" WARNING faceflow.tests: seed 0\n")


def test_a_program_with_logging_keeps_its_own_handlers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stderr, file = io.StringIO(), logging.FileHandler(tmp_path / "mine.log", mode="w")
    logging.getLogger().addHandler(file)
    try:
        with redirect_stderr(stderr):
            run_in_process(config(tmp_path / "run"), lambda _: log.warning("careful"))
        log.warning("afterwards")
    finally:
        logging.getLogger().removeHandler(file)
        file.close()
    assert caplog.messages == ["careful", "afterwards"]
    assert (tmp_path / "mine.log").read_text("utf-8") == "careful\nafterwards\n"
    assert "afterwards" not in (tmp_path / "run/train.log").read_text("utf-8")
    assert stderr.getvalue() == ""


def test_results_of_an_earlier_run_are_not_replaced_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_in_process(config(folder), lambda _: (folder / "metrics.json").write_text("{}"))
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir: expected a folder without results, got"):
        run_in_process(config(folder), lambda _: None)
    assert sorted(folder.rglob("*")) == before
    run_in_process(config(folder, "overwrite=true"), lambda _: settle())
    assert not (folder / "metrics.json").exists()


def test_a_sweep_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for override in ("sweep=methods_seeds", f"resume_sweep={tmp_path}"):
        with pytest.raises(ConfigError, match=r"hydra\.mode: expected one run, got a sweep"):
            run_in_process(config(tmp_path / "run", override), lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_command_without_a_run_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = compose("crop", ["source=a.mp4", "output=faces"])
    assert run_in_process(made, lambda own: own.output) == "faces"
    assert list(tmp_path.iterdir()) == []


def test_tasks_of_several_threads_run_one_after_another(tmp_path: Path) -> None:
    running, most = [0], [0]

    def task(_: DictConfig) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        threading.Event().wait(0.02)
        running[0] -= 1

    threads = [threading.Thread(target=run_in_process, args=(config(tmp_path / str(n)), task)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2"}
