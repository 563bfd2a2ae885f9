"""Runs the real commands in this process on small CSV data sets of noise faces."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

SIZE = 32
SMALL = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    f"model.image_size={SIZE}",
    "loader.workers=0",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "logger=none",
    "loader.batch_size=8",
    "split.val=0.3",
    "split.test=0.2",
)
Row = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, output, run folder."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def error(self) -> str:
        """The one line that the user reads."""
        assert "Traceback" not in self.stderr, self.stderr
        lines = [line for line in self.stderr.splitlines() if "Error" in line]
        assert len(lines) == 1, self.stderr or "nothing on stderr"
        return lines[0].removeprefix("ERROR ")

    def metrics(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        return content

    def checkpoint(self, name: str = "best") -> Path:
        return self.folder / "checkpoints" / f"{name}.ckpt"


@dataclasses.dataclass(frozen=True)
class Faces:
    """A CSV data set on disk: `rows` are written to `csv`, images lie in `images`."""

    folder: Path
    rows: Sequence[Row]

    @property
    def csv(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def overrides(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.csv}", f"data.images={self.images}")

    def write_csv(self, rows: Sequence[Row], name: str = "labels.csv") -> Path:
        pd.DataFrame(rows).to_csv(self.folder / name, index=False)
        return self.folder / name


def make_faces(
    folder: Path, *, aus: Sequence[str] = ("AU1", "AU6", "AU12"), subjects: int = 10, frames: int = 4, top: int = 5
) -> Faces:
    """Noise images whose brightness follows the first AU; every subject shows every AU at 0 and at `top`.

    Frames of a subject follow patterns that differ between AUs; labels lie in 0..`top`.
    """
    rng = np.random.default_rng(0)
    rows = []
    for subject in range(subjects):
        for frame in range(frames):
            scores = [[0, top, (subject + number) % (top + 1), 0][(frame + number) % 4] for number in range(len(aus))]
            image = rng.integers(0, 128, (SIZE, SIZE, 3), dtype=np.uint8) + np.uint8(100 * scores[0] // top)
            row = {"filename": f"s{subject}_{frame}.png", "subject": f"s{subject}"}
            rows.append(row | {au: str(score) for au, score in zip(aus, scores, strict=True)})
            (folder / "images").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "images" / row["filename"]), image)
    faces = Faces(folder, rows)
    faces.write_csv(rows)
    return faces


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def run_command() -> Command:
    """`run_command("train", folder, *overrides)` runs faceflow-train with results in `folder`."""

    def run(command: str, folder: Path, *overrides: str) -> Outcome:
        stdout, stderr = io.StringIO(), io.StringIO()
        main = importlib.import_module(f"faceflow.cli.{command}").main
        with pytest.MonkeyPatch.context() as patch, _own_logging_and_environment():
            patch.setattr("sys.argv", [f"faceflow-{command}", f"hydra.run.dir={folder}", *overrides])
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                code = _exit_code(main)
        return Outcome(code, stdout.getvalue(), stderr.getvalue(), folder)

    return run


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Ten subjects, four images each, AU1, AU6 and AU12 graded 0-5."""
    return make_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="session")
def trained(run_command: Command, faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A finished run of two epochs on `faces`."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    outcome = run_command("train", folder, *SMALL, *faces.overrides, "trainer.max_epochs=2")
    assert outcome.code == 0, outcome.stderr
    return outcome


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@contextlib.contextmanager
def _own_logging_and_environment() -> Iterator[None]:
    """Undo what a command changes in its process, which a shell would throw away."""
    root, environment = logging.getLogger(), dict(os.environ)
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:], root.level = handlers, level
        os.environ.clear()
        os.environ.update(environment)
        GlobalHydra.instance().clear()
