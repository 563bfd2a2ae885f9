"""One training run and its tests: settings and result folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from studies.parts import SUPERVISED_ONLY, Part, Settings

MONITOR = "val/ap"  # of the epochs of a run, and of candidate settings
TEST: Settings = ("center=subject",)  # also scores subjects relative to their own median
QUICK: Settings = ("pictures=false", "bootstrap.resamples=0")  # the study draws and resamples itself
EPOCHS = 5  # each ends with validation
BATCH, POOL_PER_LABELLED = 16, 2


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Settings shared by all runs.

    Args:
        images: folder of the benchmark.
        output: folder of the runs.
        model: name in configs/model.
        weights: file of pretrained weights; None for the model hub.
        size: input size in pixels.
        steps: number of updates.
        jobs: number of parallel runs.
        workers: loader processes per run.
        trainer: name in configs/trainer.
        overrides: additional overrides for every training run.
    """

    images: Path
    output: Path
    model: str
    weights: Path | None
    size: int
    steps: int
    jobs: int
    workers: int
    trainer: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One training run: a candidate of a method with a seed, which also draws the subjects."""

    part: Part
    method: str
    candidate: int
    seed: int

    def __str__(self) -> str:
        return f"{self.part.name} {self.method} candidate {self.candidate} seed {self.seed}"

    def overrides(self, conditions: Conditions) -> Settings:
        """Overrides for faceflow-train."""
        pool = () if self.method in SUPERVISED_ONLY else self.part.pool
        weights = () if conditions.weights is None else (f"model.weights={conditions.weights}",)
        return (
            *("layer_decay=0.9", f"monitor={MONITOR}", "logger=none"),
            *QUICK,
            *self.part.data,
            *pool,
            *self.part.methods[self.method][self.candidate],
            *(f"model={conditions.model}", *weights, f"model.image_size={conditions.size}"),
            *(f"trainer.max_epochs={EPOCHS}", f"loader.steps_per_epoch={-(-conditions.steps // EPOCHS)}"),
            *(f"loader.batch_size={BATCH}", f"loader.mu={POOL_PER_LABELLED}", f"loader.workers={conditions.workers}"),
            *(f"seed={self.seed}", f"split.seed={self.seed}", f"trainer={conditions.trainer}"),
            *(() if self.part.tests else TEST),
            *conditions.overrides,
        )

    def folder(self, conditions: Conditions) -> Path:
        """Folder of the run; different settings have different folders."""
        settings = hashlib.sha256("\n".join(self.overrides(conditions)).encode()).hexdigest()[:8]
        return conditions.output / self.part.name / f"{self.method}_s{self.seed}_{settings}"

    def test_folders(self, conditions: Conditions) -> dict[str, Path]:
        """Folders of its tests, by test name."""
        folder = self.folder(conditions)
        return {name: folder / name for name in self.part.tests} or {self.part.own_test: folder}
