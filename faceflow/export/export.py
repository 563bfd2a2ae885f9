"""`faceflow-export`: a checkpoint's network as one ONNX file, checked before it gets its name."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console

from faceflow.checks import check_number
from faceflow.config.instantiate import plain_dict
from faceflow.config.values import with_image_size
from faceflow.console import plain_table, print_lines, print_tables
from faceflow.data.assembly import check_shared
from faceflow.data.crop_recipe import read_crop_recipe
from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError, ExportError, suggest
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces
from faceflow.evaluation.known_faces import find_seen, without_seen
from faceflow.evaluation.outcome import add_file, reopened
from faceflow.evaluation.predictors import OnnxPredictor, TorchPredictor
from faceflow.export.graph import build_graph, write_model
from faceflow.export.model_card import describe_model
from faceflow.export.parity import BATCHES, TOLERANCE, largest_difference, noise
from faceflow.export.precision_cost import PrecisionCost, check_cost, measure_cost
from faceflow.export.quantization import FP32, INT8_STATIC, PRECISIONS, reduced
from faceflow.export.sample_faces import load_faces, spread, training_faces
from faceflow.files import FileWatch, claimed, whole_file
from faceflow.images import Image
from faceflow.inference.contract import INPUT, ModelContract
from faceflow.inference.onnx_model import OnnxModel
from faceflow.interruption import kept
from faceflow.models.checkpoint import Payload, load_network
from faceflow.models.network import AUNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Faces:
    """What `data` gives: faces of persons whom the checkpoint has not seen, faces to calibrate on, and how to read."""

    unseen: list[FaceTable]
    calibration: list[FaceTable]
    pipeline: Pipeline
    note: str  # caution about whom they show


def export(cfg: DictConfig) -> None:
    """Export a checkpoint by a config.

    Raises:
        ConfigError, DataError, CheckpointError: settings or files that cannot be used.
        ExportError: a network that cannot be exported, or a file that differs too much from it; none is left behind.
    """
    output = Path(str(cfg.output))
    watch = FileWatch(output)
    with kept(
        lambda: (
            f"the model is whole, in {output}"
            if watch.written(output)
            else "no file was written; start the same command again"
        )
    ):
        _export(cfg)


def _export(cfg: DictConfig) -> None:
    silence_advice()
    output = _check_output(cfg.output, overwrite=cfg.overwrite)
    _check_settings(cfg)
    trackers, run = reopened(Path(cfg.checkpoint)) if cfg.track else ([], None)
    network, payload = load_network(cfg.checkpoint, key="checkpoint")
    pipeline = eval_pipeline(plain_dict(with_image_size(cfg, network.spec.image_size).transforms))
    crop = read_crop_recipe(cfg.crop, key="crop") if cfg.crop else payload.crop
    faces = _read_data(cfg, payload, pipeline)
    contract = describe_model(
        payload, Path(cfg.checkpoint), precision=cfg.precision, crop=crop, licence=str(cfg.licence)
    )
    pictures = _pictures(faces, payload, pipeline)
    with claimed(output, key="output", folder=False):
        _check_new(output, overwrite=cfg.overwrite)  # what another command has just written
        with _shown(f"Exporting {network.spec.backbone}"):
            model = build_graph(network, simplify=cfg.simplify)
        with whole_file(output) as partial:
            with _shown("Comparing with torch"):
                write_model(partial, model, dataclasses.replace(contract, precision=FP32))
                difference = _check_parity(network, partial, pictures)
            cost, reduced_difference = None, None
            if cfg.precision != FP32:
                with _shown(f"Converting to {cfg.precision}"):
                    calibration = load_faces(spread(faces.calibration, cfg.calibration), pipeline) if faces else None
                    model = reduced(model, cfg.precision, faces=calibration)
                    write_model(partial, model, contract)
                    reduced_difference = _difference(network, partial, pictures)
                cost = _measure_cost(cfg, network, partial, payload, faces)
            if cost is not None:
                measured = "; ".join(filter(None, [f"{cfg.precision}: {cost}", faces.note if faces else ""]))
                protocol = {**contract.protocol, "precision": f"metrics are of {FP32}; {measured}"}
                contract = dataclasses.replace(contract, protocol=protocol)
                write_model(partial, model, contract)
    facts = {
        "largest difference": _parity_text(difference, pictures),
        **({} if reduced_difference is None else {f"of {cfg.precision}": f"{reduced_difference:.1e}, same pictures"}),
        **({} if cfg.precision == FP32 else {"costs": str(cost or "not measured; add data=csv data.labels=...")}),
    }
    _report(output, contract, facts)
    if run is not None:
        add_file(trackers, run, "onnx", output)


def _check_output(output: object, *, overwrite: bool) -> Path:
    path = Path(str(output))
    if output is None or path.suffix != ".onnx":
        raise ConfigError(f"output: expected the name of a .onnx file, got '{output}'; write output=model.onnx")
    if path.is_dir():
        raise ConfigError(
            f"output: expected the name of a file, got a folder: '{path}'; write output={path}/model.onnx"
        )
    _check_new(path, overwrite=overwrite)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"output: expected a folder that can be written, got '{folder}'; choose another place")
    return path


def _check_new(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise ConfigError(f"output: expected a new file, got one that exists: '{path}'; add overwrite=true")


def _check_settings(cfg: DictConfig) -> None:
    if cfg.precision not in PRECISIONS:
        raise ConfigError(
            f"precision: expected one of {', '.join(PRECISIONS)}, got '{cfg.precision}'; "
            + suggest(str(cfg.precision), PRECISIONS)
        )
    for key in ("max_drop", "max_drop_au"):
        if cfg[key] is not None:
            check_number(cfg[key], key=key, expected="a share in 0..1, or null", valid=lambda x: 0 <= x <= 1)
    check_number(cfg.calibration, key="calibration", expected="a count of faces", valid=lambda x: x >= 1, whole=True)
    Loading(**cfg.loader)
    if cfg.precision == INT8_STATIC and cfg.get("data") is None:
        raise ConfigError(
            "data: expected faces on which int8_static measures activations, got none; add data=csv data.labels=FILE, "
            "or take precision=int8"
        )


def _read_data(cfg: DictConfig, payload: Payload, pipeline: Pipeline) -> _Faces | None:
    """Faces of the config's data, None where it has none."""
    if cfg.get("data") is None:
        return None
    tables = read_faces(plain_dict(cfg.data), levels=payload.spec.levels)
    check_shared(payload.spec.aus, tables)
    unseen, note = without_seen(tables, payload, everybody=False, same_subjects=cfg.same_subjects)
    overlaps = find_seen(tables, payload)
    known = [table.select(overlap.seen, table.split) for table, overlap in zip(tables, overlaps, strict=True)]
    calibration = known if any(map(len, known)) else unseen
    return _Faces(unseen=unseen, calibration=calibration, note=note.get("caution", ""), pipeline=pipeline)


def _pictures(faces: _Faces | None, payload: Payload, pipeline: Pipeline) -> Mapping[str, Image]:
    """Pictures on which torch and ONNX Runtime are compared, by kind."""
    count = max(BATCHES)
    found = load_faces(spread(faces.unseen, count), pipeline) if faces else None
    if found is None:
        found = training_faces(payload.config, count, pipeline)
    return {"random": noise(payload.spec.image_size)} | ({} if found is None else {"real": found})


def _open(path: Path) -> OnnxModel:
    return OnnxModel(path, provider="cpu", threads=torch.get_num_threads(), key="output")


def _difference(network: AUNetwork, path: Path, pictures: Mapping[str, Image]) -> float:
    model = _open(path)
    difference = max(largest_difference(network, model, images) for images in pictures.values())
    if not np.isfinite(difference):
        raise ExportError(
            f"precision: expected finite outputs, got some that are not of a {model.contract.precision} model; take "
            "another precision, or a checkpoint whose training did not diverge"
        )
    return difference


def _check_parity(network: AUNetwork, path: Path, pictures: Mapping[str, Image]) -> float:
    difference = _difference(network, path, pictures)
    if difference > TOLERANCE:
        raise ExportError(
            f"output: expected outputs within {TOLERANCE:g} of torch, got a difference of {difference:.1e}; try "
            "simplify=false, or other versions of torch and onnxscript"
        )
    return difference


def _measure_cost(
    cfg: DictConfig, network: AUNetwork, path: Path, payload: Payload, faces: _Faces | None
) -> PrecisionCost | None:
    if faces is None:
        log.warning(
            "precision=%s: what it costs was not measured; add data=csv data.labels=FILE to have it checked against "
            "max_drop and max_drop_au",
            cfg.precision,
        )
        return None
    cost = measure_cost(
        TorchPredictor(network, accelerator="cpu"),
        OnnxPredictor(_open(path)),
        payload.thresholds,
        faces.unseen,
        pipeline=faces.pipeline,
        loading=Loading(**cfg.loader),
    )
    check_cost(cost, cfg.precision, max_drop=cfg.max_drop, max_drop_au=cfg.max_drop_au)
    return cost


@contextlib.contextmanager
def _shown(text: str) -> Iterator[None]:
    """Show on a terminal what is being done, while it is."""
    # The file by name: exporters are silenced by another sys.stderr.
    with Console(file=sys.stderr).status(f"{text} ..."):
        yield


def _parity_text(difference: float, pictures: Mapping[str, Image]) -> str:
    counts = " and ".join(f"{len(images)} {kind}" for kind, images in pictures.items())
    alone = "" if "real" in pictures else "; no training faces found, add data=... to compare on real ones"
    return f"{difference:.1e} from torch, batches of {', '.join(map(str, BATCHES))}; {counts} pictures{alone}"


def _report(output: Path, contract: ModelContract, facts: Mapping[str, str]) -> None:
    size, aus = contract.image_size, ", ".join(contract.aus)
    crop = contract.crop["align"].get("preset", "?") if contract.crop else None
    rows = {
        "file": f"{output} ({output.stat().st_size / 1e6:.1f} MB)",
        "AUs": f"{len(contract.aus)}: {aus}",
        "input": f"{INPUT}: uint8 (N, {size}, {size}, 3), RGB",
        "outputs": ", ".join(f"{name} (N, {len(contract.aus)})" for name in contract.outputs),
        "precision": contract.precision,
        **facts,
        "faces cut by": f"align={crop}" if crop else "not known; give the crops.json of the training data as crop=FILE",
    }
    table = plain_table("Exported", ["", "model"], [])
    for name, text in rows.items():
        table.add_row(name, text)
    print_tables(table)
    print_lines(f"Use it: faceflow-infer onnx={output} source=VIDEO output=aus.csv")
