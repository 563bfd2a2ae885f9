"""FaceFlow: train, test and deploy estimators of facial Action Units (FACS)."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceflow.api.compare import compare as compare
    from faceflow.api.crop import crop as crop
    from faceflow.api.export import export as export
    from faceflow.api.load import load as load
    from faceflow.api.pack import pack as pack
    from faceflow.api.render import render as render
    from faceflow.api.test import test as test
    from faceflow.api.train import train as train

__version__ = "0.2.0.dev0"

# Libraries send no telemetry, and OpenCV decodes no image that would fill the memory (268 million pixels take 0.8 GB),
# unless the user has set the variable. Most libraries read theirs when they are imported, so this must come first.
# Child processes inherit it.
for _variable, _value in {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 28),
}.items():
    os.environ.setdefault(_variable, _value)


__all__ = ["compare", "crop", "export", "load", "pack", "render", "test", "train"]


def __getattr__(name: str) -> object:
    """Import a function on first use, so that `import faceflow` is fast."""
    if name in __all__:
        return getattr(importlib.import_module(f"faceflow.api.{name}"), name)
    raise AttributeError(f"module 'faceflow' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
