"""Checks that an exported file gives the same outputs as the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from faceflow.encoding import FACS_MAX, Array, expected_intensity, occurrence_probability
from faceflow.errors import ExportError
from faceflow.exporting.sample_faces import Sample
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, POSE
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.views import FEATURES, IMAGES

BATCHES = (1, 2, 7)
TOLERANCE = 1e-4


def random_faces(spec: NetworkSpec) -> Sample:
    """Random faces for the largest batch, the same on every call."""
    rng, count, size = np.random.default_rng(0), max(BATCHES), spec.image_size
    images = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    landmarks = rng.normal(100, 50, (count, 3 * LANDMARKS))  # of a face of some 150 pixels
    turns = rng.normal(0, 20, (count, len(POSE)))
    numbers = np.hstack([landmarks, rng.uniform(0, 1, (count, len(BLENDSHAPES))), turns]).astype(np.float32)
    return Sample(images if IMAGES in spec.inputs else None, numbers if FEATURES in spec.inputs else None)


def largest_difference(network: AUNetwork, model: OnnxModel, faces: Sample) -> float:
    """Largest difference of any output between torch and ONNX Runtime, over batches of several sizes.

    The network's outputs are decoded by `faceflow.encoding`, independently of the code that the graph was made from.

    Args:
        network: in evaluation mode.
        model: exported from the network.
        faces: repeated if a batch needs more.

    Returns:
        Infinity if an output is not finite.
    """
    differences = []
    for size in BATCHES:
        batch = faces.take(np.arange(size) % faces.size)
        scores = model.run(*batch)
        found = [scores.probability] if scores.intensity is None else [scores.probability, scores.intensity]
        expected = _outputs(network, batch)
        differences += [np.abs(ours - theirs).max() for ours, theirs in zip(expected, found, strict=True)]
    largest = float(max(differences))
    return largest if np.isfinite(differences).all() else float("inf")


def check_finite(network: AUNetwork, model: OnnxModel, samples: Mapping[str, Sample]) -> float:
    """Largest difference over faces of several kinds.

    Raises:
        ExportError: an output is not finite.
    """
    difference = max(largest_difference(network, model, faces) for faces in samples.values())
    if not np.isfinite(difference):
        raise ExportError(
            f"precision: expected finite outputs, got NaN or infinity from an {model.contract.precision} model; "
            "use another precision, or a checkpoint whose training did not diverge"
        )
    return difference


def check_parity(network: AUNetwork, model: OnnxModel, samples: Mapping[str, Sample]) -> float:
    """Largest difference of a model in single precision.

    Raises:
        ExportError: it is above `TOLERANCE`, or an output is not finite.
    """
    difference = check_finite(network, model, samples)
    if difference > TOLERANCE:
        raise ExportError(
            f"output: expected outputs within {TOLERANCE:g} of torch, got a difference of {difference:.1e}; try "
            "simplify=false, or other versions of torch and onnxscript"
        )
    return difference


@torch.inference_mode()
def _outputs(network: AUNetwork, faces: Sample) -> Sequence[Array]:
    spec = network.spec
    images = None if faces.images is None else torch.from_numpy(faces.images).permute(0, 3, 1, 2)
    logits = network(images, None if faces.features is None else torch.from_numpy(faces.features)).logits
    levels = logits.double().sigmoid().numpy()
    probability = occurrence_probability(levels, spec.cutpoints, spec.occurrence_min)
    if network.calibration is not None:
        own = occurrence_probability(logits.double().numpy(), spec.cutpoints, spec.occurrence_min)
        probability = network.calibration.of_logits(own, spec.aus)
        levels = network.calibration.of_levels(logits.double().numpy(), spec.aus)
    if not spec.cutpoints:
        return [probability]
    return [probability, expected_intensity(levels, spec.cutpoints).clip(0, FACS_MAX)]
