"""What a tracker receives from a run: its identity, some faces over the epochs, and its results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array
from faceflow.errors import ConfigError, suggest
from faceflow.images import Image

INTERRUPTED = 130  # exit code of Ctrl-C
FILES = ("checkpoint", "config", "split", "results")  # kinds that a run leaves behind


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """Identity of a run for trackers.

    Attributes:
        name: readable, not unique.
        group: the sweep, or the protocol of a fold; None for a single run.
        job_type: train, fold, test or export.
        folder: where the run writes.
        continues: folder of the run that this one continues, or None.
        config: resolved, as plain values.
        datasets: name -> label files.
        log_images: whether pictures of faces may be uploaded.
    """

    name: str
    group: str | None
    job_type: str
    folder: Path
    continues: Path | None
    config: Mapping[str, Any]
    datasets: Mapping[str, Sequence[Path]]
    log_images: bool


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Predictions of N fixed faces after an epoch.

    Attributes:
        faces: names that have no meaning outside the run, such as "disfa 17".
        aus: A names.
        probability: of occurrence, (N, A).
        occurrence, observed: labels and which of them exist, (N, A).
        pictures: as the network sees them before normalisation, (S, S, 3); None unless they may be uploaded.
    """

    faces: Sequence[str]
    aus: Sequence[str]
    probability: Array
    occurrence: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    pictures: Sequence[Image] | None


@dataclass(frozen=True, kw_only=True)
class AUCurve:
    """How well one AU was detected in the test set.

    Attributes:
        au: its name.
        precision, recall: along the curve, (K,); empty where only one class occurs.
        prevalence: share of positives.
        confusion: true class -> predicted class -> count, at the validation threshold; None without a threshold.
        grades: counts of true (rows) and predicted intensity 0-5, (6, 6); None without intensities.
    """

    au: str
    precision: Array
    recall: Array
    prevalence: float
    confusion: NDArray[np.int64] | None
    grades: NDArray[np.int64] | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Results of a run: scores by name, curves, and files by kind (checkpoint, config, results, ...)."""

    scores: Mapping[str, float] = field(default_factory=dict)
    curves: Sequence[AUCurve] = ()
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def check_kinds(artifacts: Sequence[str], known: Sequence[str], *, key: str) -> None:
    """Check the kinds of files that a tracker is to keep.

    Raises:
        ConfigError: a kind is unknown.
    """
    if unknown := next((kind for kind in artifacts if kind not in known), None):
        raise ConfigError(
            f"{key}.artifacts: expected some of {', '.join(known)}, got '{unknown}'; {suggest(str(unknown), known)}"
        )


def chosen(outcome: Outcome, artifacts: Sequence[str]) -> dict[str, Sequence[Path]]:
    """Files of the kinds that a tracker keeps, and of those that a user adds by hand."""
    return {kind: files for kind, files in outcome.files.items() if files and (kind in artifacts or kind not in FILES)}


class Tracker:
    """A Lightning logger that receives more than numbers. Called only in the first process."""

    samples: int  # number of fixed validation faces whose predictions it logs; 0 for none

    def begin(self, run: TrackedRun) -> None:
        """Open the run, or the one that it continues."""
        raise NotImplementedError

    def log_samples(self, samples: Samples, *, epoch: int, step: int) -> None:
        """Log the predictions of the fixed faces."""

    def log_outcome(self, outcome: Outcome) -> None:
        """Log the results of the run."""
        raise NotImplementedError

    def close(self, code: int) -> None:
        """End the run: 0 finished, 130 interrupted, otherwise failed. Also called if `begin` failed."""
        raise NotImplementedError


@contextlib.contextmanager
def tracked(trackers: Sequence[Tracker], run: TrackedRun) -> Iterator[None]:
    """Open a run in all trackers, and close it in all with its status."""
    code = 1
    try:
        for tracker in trackers:
            tracker.begin(run)
        yield
        code = 0
    except KeyboardInterrupt:
        code = INTERRUPTED
        raise
    finally:
        for tracker in trackers:
            tracker.close(code)
