"""`faceflow-train`: train an AU network on labelled face crops."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("train")
def main(cfg: DictConfig) -> float | None:
    """Train, then test the best checkpoint."""
    from faceflow.training.train import train

    return train(cfg).best
