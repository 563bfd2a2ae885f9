"""`faceflow-crop`: cut aligned faces out of videos and photographs."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("crop")
def main(cfg: DictConfig) -> None:
    """Crop what `source` or `dataset` names."""
    from faceflow.config.instantiate import plain_dict
    from faceflow.cropping.crop import crop

    crop(plain_dict(cfg))
