"""Which process of a run this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from faceflow.config.run_folder import other_rank


def settle_rank(trainer: Mapping[str, Any]) -> None:
    """Say whether this is the first process of a run before its trainer is built, and also where a run has only one.

    Lightning goes by the number that a launcher gave, which Slurm gives to tasks with a run each as well, and sees the
    number of a machine only when it has built the trainer.
    """
    rank_zero_only.rank = other_rank(trainer)  # type: ignore[attr-defined]


def is_rank_zero() -> bool:
    """True in the process that prints results: the first of the run, by the launcher's environment."""
    return not getattr(rank_zero_only, "rank", 0)
