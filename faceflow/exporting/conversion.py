"""Write a network as ONNX, compare it with torch and measure the cost of its precision, before the file is named."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from faceflow.data.loading import Loading
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.predictors import OnnxPredictor, TorchPredictor
from faceflow.exporting.export_faces import ExportFaces
from faceflow.exporting.export_settings import ExportSettings
from faceflow.exporting.graph import build_graph, write_model
from faceflow.exporting.parity import check_finite, check_parity
from faceflow.exporting.precision_cost import PrecisionCost, check_cost, measure_cost
from faceflow.exporting.quantization import FP32, INT8_STATIC, STORED, reduced
from faceflow.exporting.sample_faces import Sample, load_faces, spread
from faceflow.files import whole_file
from faceflow.inference.contract import ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.network import AUNetwork
from faceflow.progress import waiting

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How labelled faces are read to measure the cost of a precision, and the thresholds of validation."""

    pipeline: Pipeline
    loading: Loading
    thresholds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A written file, its metadata, and how it differs from the network.

    `difference` is the largest difference of any output in single precision, `reduced_difference` in the lower
    precision, None if there is none; `cost` is None if it was not measured.
    """

    contract: ModelContract
    difference: float
    reduced_difference: float | None
    cost: PrecisionCost | None


def convert(
    network: AUNetwork,
    contract: ModelContract,
    output: Path,
    settings: ExportSettings,
    *,
    samples: Mapping[str, Sample],
    faces: ExportFaces | None,
    measuring: Measuring,
) -> Conversion:
    """Write a network as one ONNX file.

    Args:
        network: in evaluation mode, on the CPU.
        contract: metadata of the file, at the precision of `settings`.
        output: file to write.
        settings: precision and limits.
        samples: faces to compare on, by kind.
        faces: faces to calibrate and measure on.
        measuring: how `faces` are read.

    Raises:
        ConfigError: computation in a lower precision was requested for a network without a backbone.
        ExportError: the network cannot be exported, or the file differs too much from it; no file is left.
    """
    if settings.precision not in (FP32, *STORED) and network.backbone is None:
        raise ConfigError(
            f"precision: expected {', '.join((FP32, *STORED))} for a model that reads features only, which is small "
            f"and fast already, got {settings.precision}; leave it out"
        )
    with waiting(f"Exporting {network.spec.name}"):
        model = build_graph(network, simplify=settings.fuses)
    with whole_file(output) as partial:
        with waiting("Comparing with torch"):
            write_model(partial, model, dataclasses.replace(contract, precision=FP32))
            difference = check_parity(network, _open(partial), samples)
        if settings.precision == FP32:
            return Conversion(contract=contract, difference=difference, reduced_difference=None, cost=None)
        with waiting(f"Converting to {settings.precision}"):
            seen = None
            if faces is not None and settings.precision == INT8_STATIC:
                seen = load_faces(
                    spread(faces.calibration, settings.calibration), measuring.pipeline, network.spec.inputs
                )
            model = reduced(model, settings.precision, faces=seen)
            write_model(partial, model, contract)
            lower = _open(partial)
            reduced_difference = check_finite(network, lower, samples)
        if faces is None:
            log.warning(
                "precision=%s: its cost was not measured; add data=csv data.labels=FILE to check it against max_drop "
                "and max_drop_au",
                settings.precision,
            )
            cost = None
        else:
            cost = _measure(network, lower, settings, faces, measuring)
            measured = "; ".join(filter(None, [f"{settings.precision}: {cost}", faces.note]))
            protocol = {**contract.protocol, "precision": f"metrics are of {FP32}; {measured}"}
            contract = dataclasses.replace(contract, protocol=protocol)
            write_model(partial, model, contract)
    return Conversion(contract=contract, difference=difference, reduced_difference=reduced_difference, cost=cost)


def _measure(
    network: AUNetwork, lower: OnnxModel, settings: ExportSettings, faces: ExportFaces, measuring: Measuring
) -> PrecisionCost:
    cost = measure_cost(
        TorchPredictor(network, accelerator="cpu"),
        OnnxPredictor(lower),
        measuring.thresholds,
        faces.unseen,
        pipeline=measuring.pipeline,
        loading=measuring.loading,
    )
    check_cost(cost, settings.precision, max_drop=settings.max_drop, max_drop_au=settings.max_drop_au)
    return cost


def _open(path: Path) -> OnnxModel:
    """Open a file as users will."""
    return OnnxModel(path, provider="cpu", threads=torch.get_num_threads(), key="output")
