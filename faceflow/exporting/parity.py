"""Does an exported file say what the network says?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from faceflow.encoding import FACS_MAX, Array, expected_intensity, occurrence_probability
from faceflow.errors import ExportError
from faceflow.images import Image
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.network import AUNetwork

BATCHES = (1, 2, 7)
TOLERANCE = 1e-4


def noise(size: int) -> Image:
    """As many random images (N, S, S, 3) as the largest batch takes, always the same."""
    return np.random.default_rng(0).integers(0, 256, (max(BATCHES), size, size, 3), np.uint8)


def largest_difference(network: AUNetwork, model: OnnxModel, images: Image) -> float:
    """Largest difference of any output between torch and ONNX Runtime, over batches of several sizes.

    The network's side is decoded by `faceflow.encoding`, not by what the graph was made from.

    Args:
        network: in evaluation mode.
        model: exported from it.
        images: RGB, uint8 (N, S, S, 3); repeated where a batch needs more.

    Returns:
        Infinity where an output is not a number.
    """
    differences = []
    for size in BATCHES:
        batch = images[np.arange(size) % len(images)]
        scores = model.run(batch)
        found = [scores.probability] if scores.intensity is None else [scores.probability, scores.intensity]
        expected = _outputs(network, batch)
        differences += [np.abs(ours - theirs).max() for ours, theirs in zip(expected, found, strict=True)]
    largest = float(max(differences))
    return largest if np.isfinite(differences).all() else float("inf")


def check_finite(network: AUNetwork, model: OnnxModel, pictures: Mapping[str, Image]) -> float:
    """Largest difference over pictures of several kinds.

    Raises:
        ExportError: an output is not a number.
    """
    difference = max(largest_difference(network, model, images) for images in pictures.values())
    if not np.isfinite(difference):
        raise ExportError(
            f"precision: expected finite outputs, got some that are not of a {model.contract.precision} model; take "
            "another precision, or a checkpoint whose training did not diverge"
        )
    return difference


def check_parity(network: AUNetwork, model: OnnxModel, pictures: Mapping[str, Image]) -> float:
    """Largest difference of a model in single precision.

    Raises:
        ExportError: it is above `TOLERANCE`, or an output is not a number.
    """
    difference = check_finite(network, model, pictures)
    if difference > TOLERANCE:
        raise ExportError(
            f"output: expected outputs within {TOLERANCE:g} of torch, got a difference of {difference:.1e}; try "
            "simplify=false, or other versions of torch and onnxscript"
        )
    return difference


@torch.inference_mode()
def _outputs(network: AUNetwork, images: Image) -> Sequence[Array]:
    spec = network.spec
    logits = network(torch.from_numpy(images).permute(0, 3, 1, 2)).logits
    levels = logits.double().sigmoid().numpy()
    probability = occurrence_probability(levels, spec.cutpoints, spec.occurrence_min)
    if not spec.cutpoints:
        return [probability]
    return [probability, expected_intensity(levels, spec.cutpoints).clip(0, FACS_MAX)]
