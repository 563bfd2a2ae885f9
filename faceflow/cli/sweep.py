"""`faceflow-sweep`: table and picture of a sweep, from its folder."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("sweep")
def main(cfg: DictConfig) -> None:
    """Write and show the results of all jobs that ended so far."""
    from pathlib import Path

    from faceflow.sweep.overview import summarize_sweep

    summarize_sweep(Path(cfg.folder), metric=cfg.metric)
