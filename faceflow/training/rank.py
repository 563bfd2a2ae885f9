"""Which process of a run this is."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_only


def is_rank_zero() -> bool:
    """True in the process that prints results: the first of the run, by the launcher's environment."""
    return not getattr(rank_zero_only, "rank", 0)
