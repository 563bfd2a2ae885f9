"""Runs the commands in this process, because a separate process would spend most of its time on imports."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra

from tests.helpers.faces import write_csv_dataset

AUS = ("AU1", "AU6", "AU12")
SMALL = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    "model.image_size=32",
    "loader.workers=0",
    "loader.batch_size=8",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "augment=light",
    "logger=none",
    "pictures=false",
    "split.val=0.3",
    "split.test=0.2",
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Results of a command: exit code, output, run folder."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def error(self) -> str:
        """The one error line; apart from it, stderr can contain only warnings."""
        assert "Traceback" not in self.stderr, self.stderr
        errors = [line for line in self.stderr.splitlines() if line and not line.startswith("WARNING ")]
        assert len(errors) == 1, self.stderr or "nothing on stderr"
        assert "Error: " in errors[0]
        return errors[0].removeprefix("ERROR ")

    def checkpoint(self, name: str = "best") -> Path:
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def files(self) -> set[str]:
        """Paths in the run folder, without Hydra's own records."""
        files = {path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()}
        return {str(path) for path in files if path.parts[0] != ".hydra"}

    def metrics(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        return content

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name)


@dataclasses.dataclass(frozen=True)
class Faces:
    """A CSV data set on disk."""

    folder: Path

    @property
    def csv(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def overrides(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.csv}", f"data.images={self.images}")

    def read(self) -> pd.DataFrame:
        return pd.read_csv(self.csv, dtype=str, keep_default_na=False)

    def write(self, frame: pd.DataFrame, name: str = "labels.csv") -> Path:
        frame.to_csv(self.folder / name, index=False)
        return self.folder / name


def make_faces(folder: Path, *, aus: tuple[str, ...] = AUS, subjects: int = 10, frames: int = 4) -> Faces:
    """Write 32 px faces; with the splits of `SMALL`, ten subjects go 5, 3 and 2 to train, val and test."""
    return Faces(write_csv_dataset(folder, aus=aus, subjects=subjects, frames=frames))


def run(command: str, folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-COMMAND and write its results to a folder."""
    stdout, stderr = io.StringIO(), io.StringIO()
    may_sweep = any(text == "-m" or "sweep" in text or text.startswith("hydra.mode") for text in overrides)
    main: Callable[[], None] = importlib.import_module(f"faceflow.cli.{command}").main
    with pytest.MonkeyPatch.context() as patch, _own_process_state():
        patch.setattr(yaml, "SafeLoader", getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # same parser, in C
        if not may_sweep:  # Hydra would compose all configs once more, only to find no mode among them
            patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
        patch.setattr("sys.argv", [f"faceflow-{command}", f"hydra.run.dir={folder}", *overrides])
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = _exit_code(main)
    return Outcome(code, stdout.getvalue(), stderr.getvalue(), folder)


def train(folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-train with small settings and expect success."""
    outcome = run("train", folder, *SMALL, *overrides)
    assert outcome.code == 0, outcome.stderr
    return outcome


def evaluate(trained: Outcome, folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-test on the best checkpoint of a run and expect success."""
    where = ("accelerator=cpu", "loader.workers=0", "pictures=false", f"checkpoint={trained.checkpoint()}")
    outcome = run("test", folder, *where, *overrides)
    assert outcome.code == 0, outcome.stderr
    return outcome


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@contextlib.contextmanager
def _own_process_state() -> Iterator[None]:
    """Undo changes that a command makes to its process, which would normally end with it."""
    root, environment, interrupt = logging.getLogger(), dict(os.environ), signal.getsignal(signal.SIGINT)
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        os.environ.clear()
        os.environ.update(environment)
        signal.signal(signal.SIGINT, interrupt)
        GlobalHydra.instance().clear()
