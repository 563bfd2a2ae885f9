"""What each command needs besides the base install: an extra of pip, and its top-level modules."""

from __future__ import annotations

from faceflow.checks import check_installed

_TRAINING = ("torch", "lightning", "timm", "albumentations", "torchmetrics")
_EXTRAS = {
    "train": ("train", _TRAINING),
    "test": ("train", _TRAINING),
    "export": ("export", (*_TRAINING, "onnx", "onnxscript")),
    "crop": ("crop", ()),  # the detector says what it lacks
    "render": ("render", ("numba", "scipy", "matplotlib")),
    "infer": ("crop", ("onnxruntime",)),
    "sweep": ("train", ("matplotlib",)),
}


def check_extra(command: str) -> None:
    """Check that a command has what it needs.

    Raises:
        ConfigError: says what to install.
    """
    extra, modules = _EXTRAS[command]
    check_installed(*modules, key=f"faceflow-{command}", install=f"faceflow[{extra}]")
