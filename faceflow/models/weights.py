"""Tensors from files of strangers: read as data, never as code."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceflow.errors import CheckpointError

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")  # what trainers put around it
_PREFIXES = ("module.", "_orig_mod.")


def load_file(path: str | Path, *, key: str) -> Any:
    """Load what `torch.save` wrote, refusing anything but tensors and plain containers.

    Raises:
        CheckpointError: no such file, truncated, not a torch file, or pickled code.
    """
    path = _existing(path, key)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # it then says so in its error
            return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except pickle.UnpicklingError as error:
        found = "pickled code" if "Unsupported" in str(error) or "GLOBAL" in str(error) else "an unreadable file"
        raise CheckpointError(
            f"{path}: expected tensors and plain values only, got {found}; it was not run: use a file that FaceFlow "
            "or `torch.save(state_dict)` wrote"
        ) from error
    except Exception as error:  # a torn file fails anywhere in the unpickler: IndexError, struct.error, AssertionError
        raise CheckpointError(
            f"{path}: expected a whole torch file, got a truncated or foreign one; copy it again"
        ) from error


def read_weights(path: str | Path, *, key: str) -> dict[str, Tensor]:
    """Read a state dict in timm naming from a safetensors or torch file.

    Raises:
        CheckpointError: the file cannot be read, or holds no tensors.
    """
    path = _existing(path, key)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = load_file(path, key=key)
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    items = content.items() if isinstance(content, dict) else ()
    tensors = {name: value for name, value in items if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: expected a state dict of tensors, got none; save model.state_dict()")
    while prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in tensors)), ""):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _existing(path: str | Path, key: str) -> Path:
    path = Path(str(path)).expanduser()
    if not path.is_file():
        found = "which is a folder" if path.is_dir() else "which does not exist"
        raise CheckpointError(f"{key}: expected a file, got '{path}', {found}; check the path")
    return path


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_safetensors

    try:
        return dict(load_safetensors(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, got '{' '.join(str(error).split())}'; copy it again"
        ) from error
