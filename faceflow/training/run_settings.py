"""The settings of a run, from its config and keywords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faceflow.calibration import ProbabilitySettings
from faceflow.evaluation.baseline import Baseline
from faceflow.evaluation.intervals import Bootstrap
from faceflow.metrics.audited import Audit
from faceflow.training.batches import BatchSettings
from faceflow.training.build import ModuleSettings
from faceflow.training.run_data import DataSettings


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run trains and is tested.

    Attributes:
        data, module, batches: settings of the data, of the network, and of batches.
        trainer: arguments of Lightning's trainer.
        callbacks, loggers: of the trainer, by name.
        monitor: metric that chooses the checkpoint.
        test: whether the best checkpoint is tested.
        compare_start: whether the network of `init_weights` is tested beside it.
        baseline: another model to test on the same faces, or None.
        probabilities: their calibration and coverage.
        center: subject to also give centred scores of the test, or None.
        bootstrap: of the intervals of its scores.
        audit: columns of the labels whose groups are scored; None for none.
        overwrite: whether the command replaces earlier results.
    """

    data: DataSettings
    module: ModuleSettings
    batches: BatchSettings
    trainer: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    loggers: Mapping[str, Any]
    monitor: str
    test: bool
    compare_start: bool
    baseline: Baseline | None
    probabilities: ProbabilitySettings
    center: str | None
    bootstrap: Bootstrap
    audit: Audit | None
    overwrite: bool
