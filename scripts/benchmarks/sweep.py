"""`sweep`: jobs of a sweep in parallel against the same jobs one after another."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.command import command_seconds
from benchmarks.report import Comparison, Report

_HOUR = 3600


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("sweep", help="jobs in parallel")
    parser.add_argument("--jobs", type=int, default=4, help="jobs, each with another seed; default: %(default)s")
    parser.add_argument("--together", type=int, default=2, help="parallel jobs; default: %(default)s")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each job; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of faceflow-train")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Run both sweeps alternately, each as a separate command."""
    job = [f"trainer.max_epochs={options.epochs}", "pictures=false", "logger=none", "trainer.enable_progress_bar=false"]
    sweep = [f"seed={','.join(map(str, range(options.jobs)))}", *job, *options.overrides]
    together = ["launcher=joblib", f"hydra.launcher.n_jobs={options.together}"]
    rounds = [(_rate([*sweep, *together]), _rate(sweep)) for _ in range(options.rounds + 1)]
    row = Comparison(
        case=f"{options.jobs} jobs, {options.together} at a time",
        ours=[own for own, _ in rounds[1:]],
        reference=[bare for _, bare in rounds[1:]],
    )
    return Report(title="Sweep with joblib against its jobs one after another", unit="jobs/h", comparisons=[row])


def _rate(sweep: list[str]) -> float:
    """Jobs per hour of a sweep, from the start of its command to its table."""
    with tempfile.TemporaryDirectory() as folder:
        given = ["-m", f"hydra.sweep.dir={folder}", *sweep]
        seconds = command_seconds("train", given)
        return len(pd.read_csv(Path(folder) / "sweep.csv")) * _HOUR / seconds
