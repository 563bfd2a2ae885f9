"""One training and its tests: settings, and the folder where it is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from studies.parts import SUPERVISED_ONLY, Part, Settings

MONITOR = "val/ap"  # of the epochs of a run, and of candidate settings
TEST: Settings = ("center=subject",)  # also scores people against themselves
QUICK: Settings = ("pictures=false", "bootstrap.resamples=0")  # what the study draws and resamples itself
EPOCHS = 5  # at whose ends a run is validated
BATCH, POOL_PER_LABELLED = 16, 2


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What all runs have in common.

    Args:
        images: folder of the benchmark.
        output: where runs are kept.
        model: of configs/model.
        weights: file of pretrained weights; None for those of the model hub.
        size: pixels that the network sees.
        steps: updates.
        jobs: runs at a time.
        workers: loader processes of each.
        trainer: of configs/trainer.
        overrides: further ones of every training.
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
    """One training: a candidate of a method with a seed, which draws the subjects too."""

    part: Part
    method: str
    candidate: int
    seed: int

    def __str__(self) -> str:
        return f"{self.part.name} {self.method} candidate {self.candidate} seed {self.seed}"

    def overrides(self, conditions: Conditions) -> Settings:
        """Settings of its faceflow-train."""
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
        """Where it is kept; other settings have another folder."""
        settings = hashlib.sha256("\n".join(self.overrides(conditions)).encode()).hexdigest()[:8]
        return conditions.output / self.part.name / f"{self.method}_s{self.seed}_{settings}"

    def test_folders(self, conditions: Conditions) -> dict[str, Path]:
        """Where its tests are kept, by the name of the test."""
        folder = self.folder(conditions)
        return {name: folder / name for name in self.part.tests} or {self.part.own_test: folder}
