"""`faceflow-infer`: AUs of every face in videos and images, with an exported model."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("infer")
def main(cfg: DictConfig) -> None:
    """Predict what `source` names."""
    from faceflow.config.instantiate import plain_dict
    from faceflow.inference.infer import infer

    infer(plain_dict(cfg))
