"""FaceFlow: train, test and deploy estimators of facial Action Units (FACS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceflow.inference.predictor import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `faceflow.load` when it is first asked for, so that `import faceflow` costs nothing."""
    if name == "load":
        from faceflow.inference.predictor import load

        return load
    raise AttributeError(f"module 'faceflow' has no attribute '{name}'")
