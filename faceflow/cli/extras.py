"""What each command needs: a pip extra with its top-level modules, and packages that can be installed but broken."""

from __future__ import annotations

from faceflow.checks import check_installed
from faceflow.wheels import import_whole

_TRAINING = ("torch", "lightning", "timm", "albumentations", "torchmetrics")
_EXTRAS = {
    "train": ("train", _TRAINING, ("cv2",)),
    "test": ("train", _TRAINING, ("cv2",)),
    "export": ("export", (*_TRAINING, "onnx", "onnxscript"), ("cv2", "onnxruntime")),
    "crop": ("crop", (), ("cv2",)),  # the detector reports what is missing
    "render": ("render", ("numba", "scipy", "matplotlib"), ("cv2",)),
    "pack": ("pack", ("pyarrow",), ("cv2",)),
    "infer": ("crop", (), ("cv2", "onnxruntime")),
    "sweep": ("train", ("matplotlib",), ()),
    "compare": ("train", ("matplotlib",), ()),
}


def check_extra(command: str) -> None:
    """Check that the packages of a command are installed.

    Raises:
        ConfigError: a package is missing or broken; the message says how to install or repair it.
    """
    extra, modules, shared = _EXTRAS[command]
    check_installed(*modules, key=f"faceflow-{command}", install=f"faceflow[{extra}]")
    for module in shared:
        import_whole(module, key=f"faceflow-{command}")
