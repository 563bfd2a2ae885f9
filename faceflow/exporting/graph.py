"""A network as one ONNX file: faces in, probabilities and intensities out, with metadata that explains them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from faceflow.encoding import FACS_MAX, occurrence_level
from faceflow.errors import ExportError
from faceflow.faces.features import FEATURES as NUMBERS
from faceflow.inference.contract import INTENSITY, KEY, PROBABILITY, ModelContract
from faceflow.interruption import finish_first
from faceflow.models.network import AUNetwork
from faceflow.views import FEATURES, IMAGES

OPSET = 20  # with IR version 10, as onnx writes it: ONNX Runtime reads it since 1.18, and FaceFlow requires 1.27
_LARGEST = 2**31 - 1  # bytes of a protobuf message


class DecodedNetwork(nn.Module):
    """A network as users see it: takes faces as they are in memory, returns what `metrics.au_scores` scores."""

    slope: Tensor
    offset: Tensor
    level_slope: Tensor
    level_offset: Tensor

    def __init__(self, network: AUNetwork) -> None:
        super().__init__()
        points = network.spec.cutpoints
        self.network = network
        self.calibrates = network.calibration is not None
        if network.calibration is not None:
            slope, offset = network.calibration.coefficients(network.spec.aus)
            self.register_buffer("slope", torch.from_numpy(slope).float())
            self.register_buffer("offset", torch.from_numpy(offset).float())
        self.calibrates_levels = network.calibration is not None and bool(network.calibration.levels)
        if network.calibration is not None and network.calibration.levels:
            slope, offset = network.calibration.level_coefficients(network.spec.aus)
            self.register_buffer("level_slope", torch.from_numpy(slope).float())
            self.register_buffer("level_offset", torch.from_numpy(offset).float())
        self.level = occurrence_level(points, network.spec.occurrence_min)
        self.steps = [point - below for point, below in zip(points, (0.0, *points), strict=False)]
        self.eval()

    def forward(self, images: Tensor | None = None, features: Tensor | None = None) -> tuple[Tensor, ...]:
        """Probabilities of occurrence and, with levels, intensities, (N, A) each.

        Args:
            images: RGB, uint8 (N, S, S, 3).
            features: (N, F).
        """
        pixels = None if images is None else images.permute(0, 3, 1, 2)
        logits = self.network(pixels, features).logits
        mapped = logits * self.level_slope + self.level_offset if self.calibrates_levels else logits
        levels = mapped.sigmoid()
        consistent = [levels[..., 0]]  # a running minimum, for which ONNX has no operator
        for level in range(1, levels.shape[-1]):
            consistent.append(torch.minimum(consistent[-1], levels[..., level]))
        probability = self._calibrated(logits) if self.calibrates else consistent[self.level]
        if not self.steps:
            return (probability,)
        weighted = [step * level for step, level in zip(self.steps, consistent, strict=True)]
        return probability, torch.stack(weighted).sum(0).clamp(0.0, FACS_MAX)

    def _calibrated(self, logits: Tensor) -> Tensor:
        lowest = logits[..., 0]
        for level in range(1, self.level + 1):
            lowest = torch.minimum(lowest, logits[..., level])
        return (lowest * self.slope + self.offset).sigmoid()


def build_graph(network: AUNetwork, *, simplify: bool) -> onnx.ModelProto:
    """Export a network for batches of any size.

    Args:
        network: in evaluation mode, on the CPU.
        simplify: fuse operators with the optimizer of onnxscript, a dependency of torch. Otherwise it only folds
            constants, and every weight stays an initializer named `contract.WEIGHTS` plus its name in torch; ONNX
            Runtime then fuses operators when it opens the file.

    Raises:
        ExportError: torch cannot export this backbone, or it does not fit into one file.
    """
    if (weights := sum(tensor.nbytes for tensor in network.state_dict().values())) > _LARGEST:
        raise ExportError(
            f"model.backbone: expected weights below 2 GB, the limit of an ONNX file, got {weights / 1e9:.1f} GB of "
            f"{network.spec.name}; train a smaller backbone"
        )
    size = network.spec.image_size
    every = {IMAGES: torch.zeros(2, size, size, 3, dtype=torch.uint8), FEATURES: torch.ones(2, NUMBERS)}
    inputs = {name: every[name] for name in network.spec.inputs}
    rows = torch.export.Dim("N", min=1)
    outputs = (PROBABILITY, INTENSITY)[: 1 if network.spec.levels == 1 else 2]
    try:
        with exporter_silenced(), finish_first() as stop:  # C++ of torch aborts if a signal handler raises in it
            program = torch.onnx.export(
                DecodedNetwork(network),
                kwargs=inputs,
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes={name: {0: rows} for name in inputs},
                opset_version=OPSET,
                dynamo=True,
                optimize=simplify,
                verbose=False,
            )
            assert program is not None, "dynamo=True returns a program"
            if not simplify:
                optimizer.inline(program.model)
                optimizer.fold_constants(program.model, onnx_shape_inference=True, should_fold=_except_zeros)
                optimizer.remove_unused_nodes(program.model)
        stop.raise_if_set()
    except RuntimeError as error:  # base class of torch's errors
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise ExportError(
            f"model.backbone: expected a network that torch {torch.__version__} exports to ONNX, got "
            f"{network.spec.name} ({reason}); update torch and onnxscript, or train another backbone"
        ) from error
    model = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]  # stack traces, which name folders of this machine
        part.doc_string = ""
    return model


def _except_zeros(node: Any) -> bool | None:
    """Fold constants, but not expanded zeros, which stand for the bias of a convolution without one."""
    return False if node.op_type == "Expand" else None


def write_model(path: Path, model: onnx.ModelProto, contract: ModelContract) -> None:
    """Write a model with its metadata, all in one file."""
    onnx.helper.set_model_props(model, {KEY: contract.to_json()})
    model.producer_name, model.producer_version = "faceflow", contract.run.get("faceflow", "")
    model.graph.name = "faceflow"
    path.write_bytes(model.SerializeToString())


@contextlib.contextmanager
def exporter_silenced() -> Iterator[None]:
    """Keep developer output of exporters and quantizers off the terminal; errors are still raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
