"""Trains and tests a run with FaceFlow's commands; steps whose results exist in its folder are skipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from faceflow.errors import DataError
from faceflow.report.result_files import write_json
from studies.parts import labels_of
from studies.progress import Progress, say
from studies.runs import MONITOR, QUICK, TEST, Conditions, Run

DONE = "done.json"  # marks a finished training run


def train(run: Run, conditions: Conditions, progress: Progress) -> None:
    """Train a run, or resume an interrupted one.

    Raises:
        DataError: the training fails.
    """
    folder, seconds = run.folder(conditions), None
    if not (folder / DONE).exists():
        last, started = folder / "checkpoints/last.ckpt", time.monotonic()
        resume = [f"resume={last}"] if last.exists() else []
        _command("train", [*run.overrides(conditions), *resume, f"hydra.run.dir={folder}"], jobs=conditions.jobs)
        seconds = time.monotonic() - started
        best = float(pd.read_csv(folder / "metrics.csv")[MONITOR].max())
        write_json(folder / DONE, {"ap": best, "seconds": seconds})
    progress.finished(str(run), seconds)


def training_record(run: Run, conditions: Conditions) -> dict[str, float]:
    """Results of a finished training run: `ap`, its best validation AP, and `seconds`."""
    found: dict[str, float] = json.loads((run.folder(conditions) / DONE).read_text("utf-8"))
    return found


def run_tests(run: Run, conditions: Conditions) -> None:
    """Test a trained run on the test sets of its part.

    Raises:
        DataError: a test fails.
    """
    checkpoint, folders = run.folder(conditions) / "checkpoints/best.ckpt", run.test_folders(conditions)
    for name, labels in run.part.tests.items():
        if not (folders[name] / "metrics.json").exists():
            data = labels_of(labels, conditions.images)
            rest = (f"loader.workers={conditions.workers}", f"hydra.run.dir={folders[name]}", "overwrite=true")
            _command("test", [f"checkpoint={checkpoint}", *data, *TEST, *QUICK, *rest], jobs=conditions.jobs)


def _command(name: str, overrides: Sequence[str], *, jobs: int) -> None:
    say(f"faceflow-{name} {' '.join(overrides)}")
    command = [str(Path(sys.executable).with_name(f"faceflow-{name}")), *overrides]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}
    ended = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, env=os.environ | threads
    )
    if ended.returncode:
        say(ended.stderr[-2000:])
        raise DataError(
            f"faceflow-{name}: expected success, got exit code {ended.returncode}; fix the error above and "
            "rerun the study"
        )
