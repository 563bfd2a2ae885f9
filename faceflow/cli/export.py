"""`faceflow-export`: write a checkpoint's network as one ONNX file."""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point

_MODULES = ["torch", "lightning", "timm", "albumentations", "torchmetrics", "onnx", "onnxscript"]


@entry_point("export", extra="export", modules=_MODULES)
def main(cfg: DictConfig) -> None:
    """Export, check against torch, and report."""
    from faceflow.exporting.export import export

    export(cfg)
