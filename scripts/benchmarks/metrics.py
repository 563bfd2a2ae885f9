"""`metrics`: the scores of a test set against scikit-learn and torchmetrics, which compute fewer scores."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torchmetrics.functional.classification import (
    multilabel_auroc,
    multilabel_average_precision,
    multilabel_f1_score,
)

from benchmarks.report import Comparison, Report
from faceflow.metrics.au_scores import Evaluation, Prediction, evaluate
from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.occurrence import f1
from faceflow.metrics.ranking import Array
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD

_BASE_RATE, _OBSERVED = 0.15, 0.95
_METRICS = ("f1_0.5", "f1_val", "ap", "auroc")
_TOLERANCE = 1e-5  # torchmetrics sums in single precision


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("metrics", help="scores of a test set")
    parser.add_argument(
        "--frames", type=int, default=130_814, help="number of frames; default: %(default)s, as in DISFA"
    )
    parser.add_argument("--aus", type=int, default=12, help="number of AUs; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; default: %(default)s")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Time ours and each library alternately, and once the cost of the intervals."""
    rng, shape = np.random.default_rng(0), (options.frames, options.aus)
    truth, observed = rng.random(shape) < _BASE_RATE, rng.random(shape) < _OBSERVED
    probability = np.clip(rng.normal(0.3, 0.15, shape) + 0.25 * truth, 0, 1)
    thresholds = np.full(options.aus, 0.4)

    def ours() -> Evaluation:
        return evaluate(
            Prediction(probability=probability, intensity=None),
            aus=[f"AU{number + 1}" for number in range(options.aus)],
            occurrence=truth,
            intensity=np.full(shape, np.nan),
            observed=observed,
            thresholds=thresholds,
        )

    libraries = {"scikit-learn": _scikit_learn, "torchmetrics": _torchmetrics}
    scores = ours()
    expected = np.stack([scores.columns[name] for name in _METRICS])
    for name, library in libraries.items():
        found = library(probability, truth, observed, thresholds)
        assert np.allclose(found, expected, atol=_TOLERANCE), f"{name}: scores differ from ours"
    measured = {
        name: _measure(ours, partial(library, probability, truth, observed, thresholds), options)
        for name, library in libraries.items()
    }
    rows = [
        Comparison(case=f"occurrence, against {name}", ours=own, reference=bare)
        for name, (own, bare) in measured.items()
    ]
    started = time.perf_counter()
    subjects = rng.integers(0, 27, options.frames)
    bootstrap = SubjectBootstrap(subjects, resamples=1000, seed=0)
    bootstrap.decisions(f1, probability >= DEFAULT_THRESHOLD, truth, observed)
    intervals = f"intervals of F1, 1000 resamples of 27 subjects: {time.perf_counter() - started:.2f} s"
    title = f"Metrics of {options.frames} frames x {options.aus} AUs"
    return Report(title=title, unit="frames/s", comparisons=rows, notes=[intervals])


def _measure(
    ours: Callable[[], object], reference: Callable[[], object], options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Rates of both in every round, measured alternately."""
    rounds = [(_rate(ours, options.frames), _rate(reference, options.frames)) for _ in range(options.rounds)]
    return [own for own, _ in rounds], [bare for _, bare in rounds]


def _rate(work: Callable[[], object], frames: int) -> float:
    started = time.perf_counter()
    work()
    return frames / (time.perf_counter() - started)


def _scikit_learn(probability: Array, truth: Array, observed: Array, thresholds: Array) -> Array:
    """F1 at 0.5 and at a threshold, AP and AUROC (4, A), one AU at a time."""
    columns = []
    for column, threshold in enumerate(thresholds):
        seen = observed[:, column]
        score, positive = probability[seen, column], truth[seen, column]
        f1 = [f1_score(positive, score >= cut) for cut in (DEFAULT_THRESHOLD, threshold)]
        columns.append([*f1, average_precision_score(positive, score), roc_auc_score(positive, score)])
    return np.array(columns).T


def _torchmetrics(probability: Array, truth: Array, observed: Array, thresholds: Array) -> Array:
    """The same from torchmetrics, all AUs at once, without bins; a label of -1 is missing."""
    aus = len(thresholds)
    score = torch.from_numpy(probability)
    target = torch.from_numpy(np.where(observed, truth, -1))
    shifted = torch.from_numpy(probability >= thresholds).long()
    options: dict[str, Any] = {"num_labels": aus, "average": None, "ignore_index": -1}
    found = [
        multilabel_f1_score(score, target, threshold=DEFAULT_THRESHOLD, **options),
        multilabel_f1_score(shifted, target, **options),
        multilabel_average_precision(score, target, **options),
        multilabel_auroc(score, target, **options),
    ]
    return torch.stack(found).numpy()
