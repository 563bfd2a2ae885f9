"""Models to test: a checkpoint's network in torch, or an exported file in ONNX Runtime, as its users run it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from faceflow.checks import check_choice
from faceflow.encoding import occurrence_probability
from faceflow.errors import CheckpointError, ConfigError, ExportError
from faceflow.inference.contract import ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.metrics.au_scores import Prediction, decode
from faceflow.models.checkpoint import Payload, load_network, read_checkpoint
from faceflow.models.features import FeatureSpec
from faceflow.models.network import AUNetwork, NetworkSpec


class Predictor(Protocol):
    """Scores batches of faces."""

    @property
    def spec(self) -> NetworkSpec:
        """What the outputs mean."""
        ...

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        """Predict uint8 RGB images (B, 3, S, S), features (B, F), or both, as the network reads them."""
        ...


class TorchPredictor:
    """A network on one device, in full precision."""

    def __init__(self, network: AUNetwork, *, accelerator: str) -> None:
        self.spec = network.spec
        try:
            self.device = Fabric(accelerator=accelerator, devices=1).device
        except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
            raise ConfigError(f"accelerator: {' '.join(str(error).split())}; use auto, cpu or gpu") from error
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        """Predict uint8 RGB images (B, 3, S, S), features (B, F), or both, as the network reads them."""
        faces = (part if part is None else part.to(self.device, non_blocking=True) for part in (images, features))
        logits = self.network(*faces).logits
        if (calibration := self.network.calibration) is None:
            levels = logits.float().sigmoid().cpu().numpy().astype(np.float64)  # Apple GPUs have no fp64
            return decode(levels, self.spec.cutpoints, self.spec.occurrence_min)
        raw = logits.float().cpu().numpy()
        own = occurrence_probability(raw, self.spec.cutpoints, self.spec.occurrence_min)
        levels = calibration.of_levels(raw, self.spec.aus)
        intensity = decode(levels, self.spec.cutpoints, self.spec.occurrence_min).intensity
        return Prediction(probability=calibration.of_logits(own, self.spec.aus), intensity=intensity)


class OnnxPredictor:
    """An exported model in ONNX Runtime."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.spec = payload_of(model.contract, source=str(model.path)).spec

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        """Predict uint8 RGB images (B, 3, S, S), features (B, F), or both, as the network reads them."""
        pixels = None if images is None else np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        scores = self.model.run(pixels, None if features is None else features.numpy())
        intensity = None if scores.intensity is None else scores.intensity.astype(np.float64)
        return Prediction(probability=scores.probability.astype(np.float64), intensity=intensity)


def open_predictor(checkpoint: str | None, onnx: str | None, *, accelerator: str) -> tuple[Predictor, Payload]:
    """Open the model to test, with the payload that describes it.

    An exported file does not list its training subjects. Give its checkpoint, too, and the subjects and thresholds of
    the checkpoint are used.

    Raises:
        CheckpointError, ExportError: a file cannot be used.
        ConfigError: neither is given, the two do not belong together, or there is no such accelerator.
    """
    if onnx is None:
        if checkpoint is None:
            raise ConfigError("checkpoint: expected a value, got none; add checkpoint=... to the command")
        network, payload = load_network(checkpoint, key="checkpoint")
        return TorchPredictor(network, accelerator=accelerator), payload
    providers = {"auto": "auto", "cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}
    check_choice(accelerator, key="accelerator", options=providers)
    predictor = OnnxPredictor(OnnxModel(onnx, provider=providers[accelerator], threads=torch.get_num_threads()))
    contract, spec = predictor.model.contract, predictor.spec
    if checkpoint is None:
        return predictor, payload_of(contract, source=onnx)
    payload = read_checkpoint(checkpoint, key="checkpoint")[1]
    if payload.spec != spec:
        ours, theirs = payload.spec.to_dict(), spec.to_dict()
        key = next(key for key in ours | theirs if ours.get(key) != theirs.get(key))
        raise ConfigError(
            f"onnx: expected a model exported from '{checkpoint}', got one with another {key} ({theirs.get(key)} "
            f"instead of {ours.get(key)}); name the checkpoint that it comes from, or leave onnx out"
        )
    if payload.outdated:  # the file still decodes occurrence as they were tuned, unless it left them out
        payload.thresholds, payload.centring = dict(contract.thresholds), contract.centring
    elif payload.calibration != contract.calibration:
        raise ConfigError(
            f"onnx: expected a model exported from '{checkpoint}', got one with another calibration of "
            "probabilities; name the checkpoint that it comes from, or leave onnx out"
        )
    return predictor, payload


def payload_of(contract: ModelContract, *, source: str) -> Payload:
    """Payload from an exported file, without training subjects, which the file does not list.

    Raises:
        ExportError: the file does not hold a FaceFlow network.
    """
    try:
        spec = NetworkSpec(
            backbone=contract.backbone,
            aus=contract.aus,
            levels=contract.levels,
            cutpoints=contract.cutpoints,
            occurrence_min=contract.occurrence_min,
            image_size=contract.image_size,
            mean=contract.mean,
            std=contract.std,
            features=FeatureSpec.from_dict(contract.features),
            fusion=contract.fusion,
        )
    except (ConfigError, CheckpointError, TypeError, LookupError) as error:
        raise ExportError(f"{source}: {error}") from error
    protocol, thresholds = {"split": "unknown", **contract.protocol}, dict(contract.thresholds)
    return Payload(
        spec=spec,
        protocol=protocol,
        seen=[],
        config={},
        versions={},
        thresholds=thresholds,
        centring=contract.centring,
        calibration=contract.calibration,
        conformal=contract.conformal,
        crop_statistics=contract.crop_statistics,
    )
