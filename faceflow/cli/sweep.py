"""`faceflow-sweep`: table and figure of a sweep, from its folder."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("sweep")
def main(cfg: DictConfig) -> None:
    """Write and print the results of all jobs that have ended so far."""
    from pathlib import Path

    from faceflow.sweep.overview import summarize_sweep

    summarize_sweep(Path(cfg.folder), metric=cfg.metric)
