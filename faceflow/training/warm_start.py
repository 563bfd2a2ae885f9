"""Starting from the network of an earlier run, whatever AUs it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.models.checkpoint import PAYLOAD, Payload, network_state, read_checkpoint
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.models.weights import Weights, load_file

log = logging.getLogger(__name__)

_BACKBONE, _HEAD = "backbone.model.", "head."


@dataclass(frozen=True, kw_only=True)
class Start:
    """The network of a checkpoint, to start another one from: `backbone` as for `AUNetwork`, `head` by name."""

    spec: NetworkSpec
    path: str
    backbone: Weights
    head: Mapping[str, Tensor]

    def give_heads(self, network: AUNetwork) -> None:
        """Hand the heads of the AUs that both know over; those of other AUs stay new. Say which is which.

        Raises:
            CheckpointError: the checkpoint's head is not one of its AUs.
        """
        theirs, ours = self.spec, network.spec
        if (theirs.levels, theirs.cutpoints) != (ours.levels, ours.cutpoints):
            log.info(
                "init_weights: the backbone is that of '%s'; all heads are new, as its labels have %s and these %s",
                *(self.path, _named(theirs), _named(ours)),
            )
            return
        rows = {row: theirs.aus.index(au) for row, au in enumerate(ours.aus) if au in theirs.aus}
        if rows:
            self._check_head(network)
            network.head.norm.load_state_dict({key: self.head[f"norm.{key}"] for key in ("weight", "bias")})
            network.head.take_rows(self.head["linear.weight"], self.head["linear.bias"], rows)
        if new := [au for row, au in enumerate(ours.aus) if row not in rows]:
            kept = ", ".join(ours.aus[row] for row in rows) or "no AU"
            log.info(
                "init_weights: the backbone and the heads of %s are those of '%s'; the heads of %s are new",
                *(kept, self.path, ", ".join(new)),
            )

    def _check_head(self, network: AUNetwork) -> None:
        count, width = len(self.spec.aus) * self.spec.levels, network.backbone.dim
        shapes = {
            "norm.weight": (width,),
            "norm.bias": (width,),
            "linear.weight": (count, width),
            "linear.bias": (count,),
        }
        for key, shape in shapes.items():
            found = self.head.get(key)
            if found is None or found.shape != shape:
                raise CheckpointError(
                    f"init_weights: expected {_HEAD}{key} of shape {shape}, got "
                    f"{'none' if found is None else tuple(found.shape)} in '{self.path}'; the file is damaged"
                )


def start_payload(init_weights: str | None, weights: str | None) -> tuple[str, Payload | None]:
    """What the checkpoint of FaceFlow that a run starts from says, and its config key; None for other weights."""
    if init_weights:
        return "init_weights", read_checkpoint(init_weights, key="init_weights")[1]
    key = "model.weights"
    if weights and not str(weights).endswith(".safetensors"):
        content = load_file(weights, key=key)
        if isinstance(content, dict) and PAYLOAD in content:
            return key, Payload.from_checkpoint(content, source=weights)
    return key, None


def read_start(path: str, spec: NetworkSpec) -> Start:
    """Read the network of a checkpoint: the average of its weights where the run kept one.

    Args:
        path: of the checkpoint.
        spec: of the network that starts from it.

    Raises:
        CheckpointError: it cannot be used, or has another backbone.
    """
    checkpoint, payload = read_checkpoint(path, key="init_weights")
    theirs, ours = (backbone.partition(".")[0] for backbone in (payload.spec.backbone, spec.backbone))
    if theirs != ours:
        raise CheckpointError(
            f"init_weights: expected a network with backbone {ours}, got {theirs} in '{path}'; set model.backbone to it"
        )
    state = network_state(checkpoint, source=path)
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    backbone, head = (
        {key.removeprefix(part): value for key, value in tensors.items() if key.startswith(part)}
        for part in (_BACKBONE, _HEAD)
    )
    return Start(
        spec=payload.spec,
        path=path,
        backbone=Weights(tensors=backbone, path=path, key="init_weights"),
        head=head,
    )


def _named(spec: NetworkSpec) -> str:
    return "one level" if spec.levels == 1 else f"{spec.levels} levels cut at {', '.join(map(str, spec.cutpoints))}"
