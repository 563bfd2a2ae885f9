"""Starting from the network of an earlier run, whatever AUs it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.models.checkpoint import PAYLOAD, Payload, network_state, read_checkpoint
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.models.weights import Weights, load_file, named_weights

log = logging.getLogger(__name__)

_BACKBONE, _HEAD = "backbone.model.", "head."


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a training starts from.

    Attributes:
        weights: of the backbone, as for `AUNetwork`.
        payload: what a checkpoint of FaceFlow says of its run; None for weights of others.
        head: tensors of a checkpoint's head by name; None where all heads are to be new.
    """

    weights: Weights
    payload: Payload | None
    head: Mapping[str, Tensor] | None

    def check_backbone(self, spec: NetworkSpec) -> None:
        """Check that a checkpoint whose heads are taken over has the backbone of a network.

        Raises:
            CheckpointError: it has another one.
        """
        if self.payload is None or self.head is None:
            return
        theirs, ours = (backbone.partition(".")[0] for backbone in (self.payload.spec.backbone, spec.backbone))
        if theirs != ours:
            raise CheckpointError(
                f"init_weights: expected a network with backbone {ours}, got {theirs} in '{self.weights.path}'; set "
                "model.backbone to it"
            )

    def give_heads(self, network: AUNetwork) -> None:
        """Hand the heads of the AUs that both know over; those of other AUs stay new. Say which is which.

        Raises:
            CheckpointError: the checkpoint's head is not one of its AUs.
        """
        if self.payload is None or self.head is None:
            return
        theirs, ours, path = self.payload.spec, network.spec, self.weights.path
        if (theirs.levels, theirs.cutpoints) != (ours.levels, ours.cutpoints):
            log.info(
                "init_weights: the backbone is that of '%s'; all heads are new, as its labels have %s and these %s",
                *(path, _named(theirs), _named(ours)),
            )
            return
        rows = {row: theirs.aus.index(au) for row, au in enumerate(ours.aus) if au in theirs.aus}
        if rows:
            _check_head(self.head, theirs, network, path=path)
            network.head.norm.load_state_dict({key: self.head[f"norm.{key}"] for key in ("weight", "bias")})
            network.head.take_rows(self.head["linear.weight"], self.head["linear.bias"], rows)
        if new := [au for row, au in enumerate(ours.aus) if row not in rows]:
            kept = ", ".join(ours.aus[row] for row in rows) or "no AU"
            log.info(
                "init_weights: the backbone and the heads of %s are those of '%s'; the heads of %s are new",
                *(kept, path, ", ".join(new)),
            )


def read_start(init_weights: str | None, weights: str | None) -> Start | None:
    """Read what a training starts from, the file once; None where the config names none.

    Args:
        init_weights: checkpoint of FaceFlow, whose backbone and heads are taken over; the average of its weights where
            the run kept one. It goes before `weights`.
        weights: any file with weights of a backbone.

    Raises:
        CheckpointError: the file cannot be used.
    """
    if init_weights:
        checkpoint, payload = read_checkpoint(init_weights, key="init_weights")
        state = network_state(checkpoint, source=init_weights)
        tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
        backbone, head = (
            {key.removeprefix(part): value for key, value in tensors.items() if key.startswith(part)}
            for part in (_BACKBONE, _HEAD)
        )
        return Start(
            weights=Weights(tensors=backbone, path=init_weights, key="init_weights"), payload=payload, head=head
        )
    if not weights:
        return None
    content = load_file(weights, key="model.weights")
    ours = isinstance(content, dict) and PAYLOAD in content
    return Start(
        weights=named_weights(content, path=Path(str(weights)).expanduser(), key="model.weights"),
        payload=Payload.from_checkpoint(content, source=weights) if ours else None,
        head=None,
    )


def _named(spec: NetworkSpec) -> str:
    return "one level" if spec.levels == 1 else f"{spec.levels} levels cut at {', '.join(map(str, spec.cutpoints))}"


def _check_head(head: Mapping[str, Tensor], theirs: NetworkSpec, network: AUNetwork, *, path: str | Path) -> None:
    count, width = len(theirs.aus) * theirs.levels, network.backbone.dim
    shapes = {
        "norm.weight": (width,),
        "norm.bias": (width,),
        "linear.weight": (count, width),
        "linear.bias": (count,),
    }
    for key, shape in shapes.items():
        found = head.get(key)
        if found is None or found.shape != shape:
            raise CheckpointError(
                f"init_weights: expected {_HEAD}{key} of shape {shape}, got "
                f"{'none' if found is None else tuple(found.shape)} in '{path}'; the file is damaged"
            )
