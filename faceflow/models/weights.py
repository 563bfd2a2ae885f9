"""Tensors from untrusted files: read as data, never as code."""

from __future__ import annotations

import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.stand_ins import stand_in

_AVERAGES = {"average", "averaged", "ema", "swa", "teacher"}  # names that trainers give to averaged weights


def load_file(path: str | Path, *, key: str) -> Any:
    """Load a safetensors file or a file of `torch.save`; only tensors and plain containers are accepted.

    Raises:
        CheckpointError: the file is missing, truncated, of another kind, or holds pickled code.
    """
    path = _existing(path, key)
    if found := stand_in(path):
        raise CheckpointError(f"{key}: expected a file of tensors, got {found}")
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":  # the header of safetensors, after its length, whatever the suffix
        return _read_safetensors(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():  # given a path, torch would trust the suffix
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # its error repeats this
            return torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if not code and not head.startswith((b"\x80", b"PK")):  # neither pickle nor archive
            raise CheckpointError(
                f"{path}: expected a torch or safetensors file, got one of another kind; check {key}"
            ) from error
        found = f"pickled code ({code[1]})" if code else "others"
        raise CheckpointError(
            f"{path}: expected tensors and plain values only, got {found}; it was not run: use a file that FaceFlow "
            "or `torch.save(model.state_dict())` wrote"
        ) from error
    except Exception as error:  # a torn file fails anywhere in the unpickler: IndexError, struct.error, AssertionError
        raise CheckpointError(
            f"{path}: expected a whole torch file, got a truncated or foreign one; copy it again"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors of a file by name. `key` is the config key that names the file; `path` is for messages."""

    tensors: Mapping[str, Tensor]
    path: str | Path
    key: str

    def best_prefix(self, shapes: Mapping[str, torch.Size]) -> str:
        """Find the prefix under which most tensors have the names and shapes of a network.

        Trainers wrap networks in other modules. If several prefixes fit equally well, an average of the weights is
        preferred, then the first in the file.

        Args:
            shapes: shapes of the network's tensors by name.
        """
        names, fits = Counter[str](), Counter[str]()
        depth = 1 + max((name.count(".") for name in shapes), default=0)
        for full, tensor in self.tensors.items():
            parts = full.rsplit(".", depth)
            for start in range(len(parts)):
                name = ".".join(parts[start:])
                if name in shapes:
                    prefix = full.removesuffix(name)
                    names[prefix] += 1
                    fits[prefix] += tensor.shape == shapes[name]
        return max(names, key=lambda prefix: (fits[prefix], names[prefix], _is_average(prefix)), default="")

    def below(self, prefix: str) -> dict[str, Tensor]:
        """Tensors under a prefix, by their names without it."""
        return {k.removeprefix(prefix): value for k, value in self.tensors.items() if k.startswith(prefix)}


def named_weights(content: object, *, path: str | Path, key: str) -> Weights:
    """All named tensors in the result of `load_file`; those in nested dicts are named 'dict.name'.

    Raises:
        CheckpointError: there are no tensors.
    """
    tensors = dict(_named_tensors(content))
    if not tensors:
        raise CheckpointError(f"{path}: expected a state dict of tensors, got none; save model.state_dict()")
    return Weights(tensors=tensors, path=path, key=key)


def _named_tensors(content: object) -> Iterator[tuple[str, Tensor]]:
    """Walk through dicts, each once, as those in an untrusted file may contain themselves."""
    waiting, seen = [("", content)], set[int]()
    while waiting:
        prefix, node = waiting.pop(0)
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen.add(id(node))
        for name, value in node.items():
            if isinstance(name, str) and isinstance(value, Tensor):
                yield prefix + name, value
            elif isinstance(name, str):
                waiting.append((f"{prefix}{name}.", value))


def _is_average(prefix: str) -> bool:
    return not _AVERAGES.isdisjoint(re.split(r"[._]", prefix.lower()))


def _existing(path: str | Path, key: str) -> Path:
    file = Path(str(path)).expanduser()
    if "://" in str(path):
        raise CheckpointError(f"{key}: expected a file, got the address '{path}'; download it and name the file")
    if not file.is_file():
        found = "which is a folder" if file.is_dir() else "which does not exist"
        raise CheckpointError(f"{key}: expected a file, got '{file}', {found}; check the path")
    return file


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_safetensors

    try:
        return dict(load_safetensors(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, got '{' '.join(str(error).split())}'; copy it again"
        ) from error
