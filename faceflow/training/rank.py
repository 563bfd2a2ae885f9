"""Which process of a run this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from faceflow.config.run_folder import other_rank


def settle_rank(trainer: Mapping[str, Any]) -> None:
    """Set the rank of this process before the trainer is built, also in a run of a single process.

    Lightning uses the rank of the launcher, but Slurm also numbers tasks that each have a run of their own; and
    Lightning knows the number of the machine only once the trainer is built.
    """
    rank_zero_only.rank = other_rank(trainer)  # type: ignore[attr-defined]


def is_rank_zero() -> bool:
    """True in the process that prints results: the first of the run, by the launcher's environment."""
    return not getattr(rank_zero_only, "rank", 0)
