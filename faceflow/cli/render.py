"""`faceflow-render`: labelled faces of subjects who do not exist, from a morphable face model."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("render")
def main(cfg: DictConfig) -> None:
    """Render a data set."""
    from faceflow.config.instantiate import plain_dict
    from faceflow.rendering.render import render

    render(plain_dict(cfg))
