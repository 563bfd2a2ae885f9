"""`faceflow-test`: score a checkpoint on a data set."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("test")
def main(cfg: DictConfig) -> float | None:
    """Test every subject that the checkpoint has not seen."""
    from faceflow.evaluation.test import test

    return test(cfg).f1_val
