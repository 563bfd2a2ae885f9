"""`faceflow-export`: write a checkpoint's network as one ONNX file."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("export")
def main(cfg: DictConfig) -> None:
    """Export, check against torch, and report."""
    from faceflow.exporting.export import export

    export(cfg)
