"""`faceflow-pack`: face crops with their labels in a few large files."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("pack")
def main(cfg: DictConfig) -> None:
    """Pack what `labels` or `images` names."""
    from faceflow.config.instantiate import plain_dict
    from faceflow.packing.pack import pack

    pack(plain_dict(cfg))
