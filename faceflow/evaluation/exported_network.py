"""The network of an exported file in torch, to continue training from it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from faceflow.checks import check_installed
from faceflow.errors import CheckpointError
from faceflow.evaluation.predictors import payload_of
from faceflow.inference.contract import BYTES, SCALE, WEIGHTS
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.checkpoint import Payload
from faceflow.models.network import AUNetwork

_COUNTER = "num_batches_tracked"  # batches normalised in training; no file has it, and nothing reads it


def read_exported(path: str | Path, *, key: str) -> tuple[Payload, dict[str, Tensor]]:
    """Read the description of an exported file, and the weights of its network in single precision.

    Args:
        path: of a file whose weights keep their names, see `contract.WEIGHTS`.
        key: config key that names it, for messages.

    Raises:
        ExportError: see `OnnxModel`.
        CheckpointError: the file does not keep its weights.
        ConfigError: the package `onnx` is not installed.
    """
    check_installed("onnx", key=key, install="faceflow[train]")
    import onnx

    payload = payload_of(OnnxModel(path, provider="cpu", threads=1, key=key).contract, source=str(path))
    stored = {
        tensor.name.removeprefix(WEIGHTS): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).float()
        for tensor in onnx.load(str(path), load_external_data=False).graph.initializer
        if tensor.name.startswith(WEIGHTS) and tensor.data_location != onnx.TensorProto.EXTERNAL
    }
    for name in [name.removesuffix(BYTES) for name in stored if name.endswith(BYTES)]:
        stored[name] = stored.pop(name + BYTES) * stored.pop(name + SCALE, torch.nan)
    with torch.device("meta"):  # shapes without memory
        expected = AUNetwork(payload.spec).state_dict()
    kept = [name for name in expected if not name.endswith(_COUNTER)]
    lacking = [name for name in kept if name not in stored or stored[name].shape != expected[name].shape]
    if lacking:
        raise CheckpointError(
            f"{key}: expected an exported model that keeps its weights, got '{path}' without {len(lacking)} of "
            f"{len(kept)}, such as {lacking[0]}; export it again with precision=fp16_stored or simplify=false"
        )
    weights = {name: stored[name] for name in kept}
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    return payload, weights | counters
