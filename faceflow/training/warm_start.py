"""Starting from the network of an earlier run, whatever AUs it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.evaluation.exported_network import read_exported
from faceflow.models.checkpoint import PAYLOAD, Payload, load_state, network_state, read_checkpoint
from faceflow.models.head import AUHead
from faceflow.models.network import AUNetwork, NetworkSpec, plain_lists
from faceflow.models.weights import Weights, load_file, named_weights
from faceflow.views import IMAGES

log = logging.getLogger(__name__)

_BACKBONE, _HEAD, _BRANCHES = "backbone.model.", "head.", "branches."


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a training starts from.

    Attributes:
        weights: of the backbone, as for `AUNetwork`.
        payload: of a FaceFlow checkpoint or exported model; None for other weights.
        head: tensors of the image head of a checkpoint by name; None if all heads are to be new.
        branches: tensors of the feature branches of a checkpoint by name.
    """

    weights: Weights
    payload: Payload | None
    head: Mapping[str, Tensor] | None
    branches: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def caution(self) -> dict[str, str]:
        """Note for the protocol: an exported file does not list its training subjects."""
        if self.payload is None or self.payload.seen or self.payload.faces:
            return {}
        name = Path(self.weights.path).name
        return {"start": f"{name}; its training subjects are not known and may be among the tested ones"}

    def network(self) -> AUNetwork:
        """The unchanged network of the file, in evaluation mode.

        Raises:
            CheckpointError: the file is damaged.
        """
        assert self.payload is not None, "weights from elsewhere hold no AU network"
        parts = {_BACKBONE: self.weights.tensors, _HEAD: self.head or {}, _BRANCHES: self.branches}
        network = AUNetwork(self.payload.spec)
        state = {prefix + name: tensor for prefix, tensors in parts.items() for name, tensor in tensors.items()}
        load_state(network, state, source=self.weights.path)
        network.calibration = self.payload.calibration
        return network.eval()

    def check_backbone(self, spec: NetworkSpec) -> None:
        """Check that a checkpoint whose heads are used has the backbone of the network.

        Raises:
            CheckpointError: it has another backbone.
        """
        if self.payload is None or self.head is None or None in (self.payload.spec.backbone, spec.backbone):
            return
        theirs, ours = (str(backbone).partition(".")[0] for backbone in (self.payload.spec.backbone, spec.backbone))
        if theirs != ours:
            raise CheckpointError(
                f"init_weights: expected a network with backbone {ours}, got {theirs} in '{self.weights.path}'; set "
                "model.backbone to it"
            )

    def give_heads(self, network: AUNetwork) -> None:
        """Copy the feature branches and the heads of AUs that both have into a network; log which AUs stay new.

        Raises:
            CheckpointError: the checkpoint's head does not fit its AUs.
        """
        if self.payload is None or self.head is None:
            return
        theirs, ours, path = self.payload.spec, network.spec, self.weights.path
        given = self._give_branches(network)
        if (theirs.levels, theirs.cutpoints) != (ours.levels, ours.cutpoints):
            log.info(
                "init_weights: the backbone is from '%s'; all heads are new, as its labels have %s and these have %s",
                *(path, _named(theirs), _named(ours)),
            )
            return
        rows = {row: theirs.aus.index(au) for row, au in enumerate(ours.aus) if au in theirs.aus}
        if rows:
            for name, head in network.heads.items():
                if name in given:
                    _take_head(head, given[name], theirs, rows, path=path)
        if given and (new := [au for row, au in enumerate(ours.aus) if row not in rows]):
            kept = ", ".join(ours.aus[row] for row in rows) or "no AU"
            log.info(
                "init_weights: the backbone and the heads of %s are from '%s'; the heads of %s are new",
                *(kept, path, ", ".join(new)),
            )

    def _give_branches(self, network: AUNetwork) -> dict[str, Mapping[str, Tensor]]:
        """Copy standardisation and hidden layer of branches that both have; return the heads to copy AUs from."""
        heads = {IMAGES: self.head} if self.head and network.backbone is not None else {}
        for part, branch in network.branches.items():
            prefix = f"{part}."
            found = {k.removeprefix(prefix): v for k, v in self.branches.items() if k.startswith(prefix)}
            own = {key: value for key, value in branch.state_dict().items() if not key.startswith(_HEAD)}
            if not found:
                continue
            if differing := [key for key, value in own.items() if key not in found or found[key].shape != value.shape]:
                raise CheckpointError(
                    f"init_weights: expected the branch of {part} with model.hidden and model.components as here, got "
                    f"another {differing[0]} in '{self.weights.path}'; set both to those of that run"
                )
            branch.load_state_dict({key: found[key] for key in own}, strict=False)
            heads[part] = {key.removeprefix(_HEAD): value for key, value in found.items() if key.startswith(_HEAD)}
        return heads


def read_start(init_weights: str | None, weights: str | None) -> Start | None:
    """Read the start of a training, reading the file once; None if the config names none.

    Args:
        init_weights: FaceFlow checkpoint, or exported model that keeps its weights (.onnx), whose backbone and heads
            are used; for a checkpoint, the average of the weights if the run kept one. Takes precedence over `weights`.
        weights: any file with weights of a backbone.

    Raises:
        CheckpointError, ExportError: the file cannot be used.
    """
    if init_weights:
        if Path(init_weights).suffix.lower() == ".onnx":
            payload, state = read_exported(init_weights, key="init_weights")
        else:
            checkpoint, payload = read_checkpoint(init_weights, key="init_weights")
            state = network_state(checkpoint, source=init_weights)
        tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
        backbone, head, branches = (
            {key.removeprefix(part): value for key, value in tensors.items() if key.startswith(part)}
            for part in (_BACKBONE, _HEAD, _BRANCHES)
        )
        weights_of_it = Weights(tensors=backbone, path=init_weights, key="init_weights")
        return Start(weights=weights_of_it, payload=payload, head=head, branches=branches)
    if not weights:
        return None
    content = load_file(weights, key="model.weights")
    ours = isinstance(content, dict) and PAYLOAD in content
    return Start(
        weights=named_weights(content, path=Path(str(weights)).expanduser(), key="model.weights"),
        payload=Payload.from_checkpoint(content, source=weights) if ours else None,
        head=None,
    )


def start_settings(init_weights: str) -> dict[str, Any]:
    """Settings of the network in a file, by config key.

    Raises:
        CheckpointError, ExportError: the file cannot be used.
    """
    start = read_start(init_weights, None)
    assert start is not None, "it names a file"
    assert start.payload is not None, "the file is one of ours"
    spec = start.payload.spec
    layers = {} if spec.features is None else plain_lists(asdict(spec.features))
    return {
        "model.backbone": spec.backbone,
        "model.image_size": spec.image_size,
        "model.mean": list(spec.mean),
        "model.std": list(spec.std),
        "model.features": layers.pop("parts", []),
        "model.fusion": spec.fusion,
        "levels": spec.levels,
        "cutpoints": list(spec.cutpoints) or None,
        **{f"model.{key}": value for key, value in layers.items()},
    }


def _named(spec: NetworkSpec) -> str:
    return "one level" if spec.levels == 1 else f"{spec.levels} levels cut at {', '.join(map(str, spec.cutpoints))}"


def _take_head(
    head: AUHead, given: Mapping[str, Tensor], theirs: NetworkSpec, rows: Mapping[int, int], *, path: str | Path
) -> None:
    count, width = len(theirs.aus) * theirs.levels, head.linear.in_features
    shapes = {
        "norm.weight": (width,),
        "norm.bias": (width,),
        "linear.weight": (count, width),
        "linear.bias": (count,),
    }
    for key, shape in shapes.items():
        found = given.get(key)
        if found is None or found.shape != shape:
            raise CheckpointError(
                f"init_weights: expected {_HEAD}{key} of shape {shape}, got "
                f"{'none' if found is None else tuple(found.shape)} in '{path}'; the file is damaged"
            )
    head.norm.load_state_dict({key: given[f"norm.{key}"] for key in ("weight", "bias")})
    head.take_rows(given["linear.weight"], given["linear.bias"], rows)
