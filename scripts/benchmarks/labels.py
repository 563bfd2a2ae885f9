"""`labels`: reading and checking a label file, without its images, against pandas reading its cells."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.composition import whole_numbers
from benchmarks.report import Comparison, Report
from faceflow.config.composition import compose
from faceflow.config.instantiate import plain_dict
from faceflow.data.label_scales import find_scales
from faceflow.data.labels import read_labels
from faceflow.data.source_config import SourceConfig
from faceflow.data.sources import list_faces

_KEY = "data.sources.csv"
_NAMES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 45)
_FRAMES = 1000  # per subject
_BYTES = 1024 if sys.platform == "linux" else 1  # unit of ru_maxrss


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("labels", help="reading and checking labels")
    parser.add_argument(
        "--rows", type=whole_numbers, default="100000,1000000", help="numbers of rows; default: %(default)s"
    )
    parser.add_argument("--aus", type=int, default=12, help="number of AUs; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; default: %(default)s")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """In every round, read a file of each length in a separate process."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_compare(_write(Path(folder), count, options.aus), count, options.rounds) for count in options.rows]
    return Report(title=f"Labels of {options.aus} AUs, read and checked", unit="rows/s", comparisons=rows)


def _compare(path: Path, count: int, rounds: int) -> Comparison:
    ours, reference, memory = [], [], []
    for _ in range(rounds):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, grown = pool.apply(_read, (path,))
        ours.append(count / seconds)
        memory.append(grown / count)
        started = time.perf_counter()
        pd.read_csv(path)
        reference.append(count / (time.perf_counter() - started))
    return Comparison(
        case=f"{count:,} rows",
        ours=ours,
        reference=reference,
        details={"seconds": f"{count / np.median(ours):.1f}", "peak, bytes per row": f"{np.median(memory):.0f}"},
        series={"bytes_per_row": memory},
    )


def _read(path: Path) -> tuple[float, int]:
    """Seconds, and bytes by which the peak memory of the process grew."""
    data = compose("train", ["data=csv", f"data.labels={path}", f"data.images={path.parent}"]).data
    settings = SourceConfig(**plain_dict(data)["sources"]["csv"])
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    file = read_labels(
        path, missing_values=settings.missing_values, prefer="intensity", columns=settings.columns, key=f"{_KEY}.labels"
    )
    scales = find_scales(_KEY, [file], settings.score_max, settings.occurrence_min)
    list_faces(_KEY, settings, file, name="faces", scales=scales, split=None)
    seconds = time.perf_counter() - started
    return seconds, _BYTES * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _write(folder: Path, count: int, aus: int) -> Path:
    """Write generated labels; returns the file."""
    rng, number = np.random.default_rng(0), np.arange(count)
    subject = pd.Series("S" + pd.Series(number // _FRAMES).astype(str).str.zfill(6))
    frame = pd.DataFrame(rng.integers(0, 6, (count, aus)), columns=[f"AU{n}" for n in _NAMES[:aus]])
    frame["subject"] = subject
    frame["frame"] = number % _FRAMES
    frame["filename"] = subject + "/" + pd.Series(number % _FRAMES).astype(str).str.zfill(5) + ".jpg"
    path = folder / f"{count}.csv"
    frame.to_csv(path, index=False)
    return path
