"""`metrics`: the scores of a test set against a loop over its AUs and frames in plain Python."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.report import Comparison, Report
from faceflow.metrics.au_scores import Prediction, evaluate
from faceflow.metrics.bootstrap import PersonBootstrap
from faceflow.metrics.occurrence import f1
from faceflow.metrics.ranking import Array
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD

_BASE_RATE, _OBSERVED = 0.15, 0.95


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("metrics", help="scores of a test set")
    parser.add_argument("--frames", type=int, default=130_814, help="default: %(default)s, those of DISFA")
    parser.add_argument("--aus", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="that count; default: %(default)s")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Time both in turn, and once what the intervals cost."""
    rng, shape = np.random.default_rng(0), (options.frames, options.aus)
    truth, observed = rng.random(shape) < _BASE_RATE, rng.random(shape) < _OBSERVED
    probability = np.clip(rng.normal(0.3, 0.15, shape) + 0.25 * truth, 0, 1)
    thresholds = np.full(options.aus, 0.4)

    def ours() -> object:
        return evaluate(
            Prediction(probability=probability, intensity=None),
            aus=[f"AU{number + 1}" for number in range(options.aus)],
            occurrence=truth,
            intensity=np.full(shape, np.nan),
            observed=observed,
            thresholds=thresholds,
        )

    def reference() -> object:
        return _loop(probability, truth, observed, thresholds)

    rounds = [(_rate(ours, options.frames), _rate(reference, options.frames)) for _ in range(options.rounds + 1)]
    row = Comparison(case="occurrence", ours=[own for own, _ in rounds[1:]], reference=[bare for _, bare in rounds[1:]])
    started = time.perf_counter()
    persons = rng.integers(0, 27, options.frames)
    bootstrap = PersonBootstrap(persons, resamples=1000, seed=0)
    bootstrap.decisions(f1, probability >= DEFAULT_THRESHOLD, truth, observed)
    intervals = f"intervals of F1, 1000 resamples of 27 persons: {time.perf_counter() - started:.2f} s"
    title = f"Metrics of {options.frames} frames x {options.aus} AUs"
    return Report(title=title, unit="frames/s", comparisons=[row], notes=[intervals])


def _rate(work: Callable[[], object], frames: int) -> float:
    started = time.perf_counter()
    work()
    return frames / (time.perf_counter() - started)


def _loop(probability: Array, truth: Array, observed: Array, thresholds: Array) -> list[tuple[float, ...]]:
    """F1 at two thresholds, AP and AUROC of every AU, frame by frame; without ties, which cost ours the same."""
    scores = []
    for column, threshold in enumerate(thresholds.tolist()):
        columns = (values[:, column].tolist() for values in (probability, truth, observed))
        frames = [(score, positive) for score, positive, seen in zip(*columns, strict=True) if seen]
        f1 = [_f1(frames, cut) for cut in (DEFAULT_THRESHOLD, threshold)]
        found = precision = pairs = 0.0
        for place, (_, positive) in enumerate(sorted(frames, reverse=True), 1):
            if positive:
                found += 1
                precision += found / place
            else:
                pairs += found
        scores.append((*f1, precision / found, pairs / (found * (len(frames) - found))))
    return scores


def _f1(frames: list[tuple[float, bool]], threshold: float) -> float:
    hits = wrong = 0
    for score, positive in frames:
        if score >= threshold and positive:
            hits += 1
        elif (score >= threshold) != positive:
            wrong += 1
    return 2 * hits / (2 * hits + wrong)
