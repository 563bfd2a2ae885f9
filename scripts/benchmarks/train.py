"""`train`: a training run of FaceFlow against a bare PyTorch loop."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.composition import add_data_options, compose_config, whole_numbers
from benchmarks.report import Comparison, Report, announced, cores
from benchmarks.step_timer import StepTimer
from faceflow.training.train import train

_BASELINE = "supervised"
_PREFETCHED = 2  # batches that a worker prepares ahead


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("train", help="the training step with everything around it")
    add_data_options(parser)
    parser.add_argument("--model", default="resnet18", help="name in configs/model, untrained; default: %(default)s")
    parser.add_argument(
        "--methods", default="supervised", help="names in configs/method, comma-separated; default: %(default)s"
    )
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--workers", type=whole_numbers, default=_powers_of_two(), help="numbers of workers; default: %(default)s"
    )
    parser.add_argument("--steps", type=int, default=30, help="counted steps per round; default: %(default)s")
    parser.add_argument("--warmup", type=int, default=5, help="warm-up steps before them; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; default: %(default)s")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Compare a run of each method at each number of workers."""
    title = f"Training, {options.model}, {options.size} px, batches of {options.batch}, {options.precision}"
    methods = options.methods.split(",")
    rows = {(method, n): _compare(options, method, n) for method in methods for n in announced(options.workers)}
    notes = [
        f"workers {workers}: with the main process, more than the {cores()} cores, which they share"
        for workers in options.workers
        if workers >= cores()
    ]
    return Report(title=title, unit="images/s", comparisons=list(rows.values()), notes=[*_costs(rows), *notes])


def _costs(rows: Mapping[tuple[str, int], Comparison]) -> list[str]:
    """Step time of every method relative to supervised training with the same labelled batch."""
    costs = []
    for (method, workers), row in rows.items():
        base = rows.get((_BASELINE, workers))
        if base and method != _BASELINE:
            ours, bare = (median(getattr(base, rates)) / median(getattr(row, rates)) for rates in ("ours", "reference"))
            costs.append(
                f"{row.case}: a step takes {ours:.2f} times as long as a supervised step (bare loops: {bare:.2f})"
            )
    return costs


def _compare(options: argparse.Namespace, method: str, workers: int) -> Comparison:
    with tempfile.TemporaryDirectory(prefix="faceflow-benchmark-") as folder:
        rounds = Path(folder) / "rounds.json"
        cfg = compose_config(options, *_overrides(options, method, workers, folder, rounds))
        with contextlib.redirect_stdout(io.StringIO()):
            train(cfg)
        measured = json.loads(rounds.read_text("utf-8"))
    return Comparison(
        case=f"{method}, workers {workers}",
        ours=measured["ours"],
        reference=measured["reference"],
        details={"waiting": f"{median(measured['waiting']):.0%}"},
        series={"waiting": measured["waiting"]},
    )


def _overrides(options: argparse.Namespace, method: str, workers: int, folder: str, rounds: Path) -> list[str]:
    # Batches that workers prepared in advance would inflate the rate, so they are used up before the clock starts.
    warmup = max(options.warmup, _PREFETCHED * workers + 1)
    timer = {"path": rounds, "warmup": warmup, "steps": options.steps, "channels_last": options.channels_last}
    return [
        f"method={method}",
        f"model={options.model}",
        "model.pretrained=false",
        f"loader.workers={workers}",
        f"channels_last={options.channels_last}",
        f"trainer.precision={options.precision}",
        f"trainer.max_epochs={options.rounds + 1}",
        f"trainer.limit_train_batches={warmup + options.steps}",
        "split.val=0.05",
        "split.test=0",
        "test=false",
        "callbacks.last=null",
        f"paths.output={folder}",
        f"+callbacks.timer._target_={StepTimer.__module__}.{StepTimer.__name__}",
        *(f"+callbacks.timer.{key}={value}" for key, value in timer.items()),
    ]


def _powers_of_two() -> str:
    """Numbers of workers from none to one per core."""
    return ",".join(["0", *(str(2**power) for power in range(cores().bit_length()))])
