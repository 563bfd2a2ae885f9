"""`faceflow-export`: a checkpoint's network as one ONNX file, checked before it gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.cards import check_card
from faceflow.config.located import located
from faceflow.config.values import plain, with_image_size
from faceflow.console import plain_table, print_lines, print_tables
from faceflow.data.crop_recipe import read_crop_recipe
from faceflow.data.loading import Loading
from faceflow.errors import ConfigError
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces
from faceflow.evaluation.outcome import add_file, reopened
from faceflow.exporting.conversion import Conversion, Measuring, convert
from faceflow.exporting.description import describe_model
from faceflow.exporting.export_faces import ExportFaces, comparison_faces
from faceflow.exporting.export_settings import ExportSettings, check_new, check_output
from faceflow.exporting.model_card import write_model_card
from faceflow.exporting.parity import BATCHES
from faceflow.exporting.quantization import FP32, INT8_STATIC
from faceflow.exporting.sample_faces import Sample
from faceflow.faces.features import FEATURES as NUMBERS
from faceflow.files import FileWatch, claimed
from faceflow.inference.contract import ModelContract
from faceflow.interruption import kept
from faceflow.models.checkpoint import load_network
from faceflow.views import FEATURES, IMAGES


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        path: the ONNX file.
        contract: metadata in the file: AUs, thresholds, how faces are cut, test metrics.
        difference: largest difference between any output and torch's, in single precision.
        facts: the printed table.
    """

    path: Path
    contract: ModelContract
    difference: float
    facts: Mapping[str, str]


def export(config: DictConfig) -> ExportResult:
    """Export a checkpoint by a config.

    Raises:
        ConfigError, DataError, CheckpointError: a setting or file cannot be used.
        ExportError: the network cannot be exported, or the file differs too much from it; no file is left.
    """
    silence_advice()
    watch = FileWatch(path := Path(str(config.output)))
    whole, nothing = f"the model is complete, in {path}", "no file was written; rerun the same command"
    with kept(lambda: whole if watch.written(path) else nothing):
        output, card = check_output(config.output, overwrite=config.overwrite), check_card(config.get("card"))
        if card is not None:
            check_new(card, overwrite=config.overwrite, key="card")
        settings = ExportSettings(
            precision=config.precision,
            max_drop=config.max_drop,
            max_drop_au=config.max_drop_au,
            calibration=config.calibration,
            simplify=config.simplify,
        )
        loader, with_data = config.loader, config.get("data") is not None
        loading = Loading(batch_size=loader.batch_size, workers=loader.workers, timeout_s=loader.timeout_s)
        if settings.precision == INT8_STATIC and not with_data:
            raise ConfigError(
                "data: expected faces on which int8_static measures activations, got none; add data=csv "
                "data.labels=FILE, or use precision=int8"
            )
        trackers, run = reopened(Path(config.checkpoint)) if config.track else ([], None)
        local = located(config)
        network, payload = load_network(local.checkpoint, key="checkpoint")
        pipeline = eval_pipeline(plain(with_image_size(config, network.spec.image_size).transforms))
        crop = read_crop_recipe(local.crop, key="crop") if config.crop else payload.crop
        faces = None
        if with_data:
            tables = read_faces(plain(local.data), levels=payload.spec.levels)
            faces = ExportFaces.choose(tables, payload, same_subjects=config.same_subjects)
        contract = describe_model(
            payload, Path(local.checkpoint), precision=settings.precision, crop=crop, licence=str(config.licence)
        )
        samples = comparison_faces(faces, payload, pipeline)
        measuring = Measuring(pipeline=pipeline, loading=loading, thresholds=payload.thresholds)
        with claimed(output, key="output", folder=False):
            check_new(output, overwrite=config.overwrite)  # another command may have written it meanwhile
            written = convert(network, contract, output, settings, samples=samples, faces=faces, measuring=measuring)
        facts = _facts(output, written, samples)
        _report(output, facts)
        if card is not None:
            checkpoint = Path(local.checkpoint)
            write_model_card(card, written.contract, model=output, checkpoint=checkpoint, facts=facts)
            print_lines(f"Card: {card}")
        if run is not None:
            add_file(trackers, run, "onnx", output)
    return ExportResult(path=output, contract=written.contract, difference=written.difference, facts=facts)


def _facts(output: Path, written: Conversion, samples: Mapping[str, Sample]) -> dict[str, str]:
    """Facts about the file for the user."""
    contract, lower = written.contract, {}
    size, count = contract.image_size, len(contract.aus)
    crop = contract.crop["align"].get("preset", "?") if contract.crop else None
    kinds = " and ".join(f"{faces.size} {kind}" for kind, faces in samples.items())
    alone = "" if "real" in samples else "; no training faces found, add data=... to compare on real ones"
    shapes = {
        IMAGES: f"{IMAGES}: uint8 (N, {size}, {size}, 3), RGB",
        FEATURES: f"{FEATURES}: float32 (N, {NUMBERS}), of the detector's landmarks",
    }
    batches = ", ".join(map(str, BATCHES))
    if contract.precision != FP32:
        lower[f"of {contract.precision}"] = f"{written.reduced_difference:.1e}, same faces"
        lower["costs"] = str(written.cost or "not measured; add data=csv data.labels=...")
    return {
        "file": f"{output} ({output.stat().st_size / 1e6:.1f} MB)",
        "AUs": f"{count}: {', '.join(contract.aus)}",
        "input": "; ".join(shapes[name] for name in contract.inputs),
        "outputs": ", ".join(f"{name} (N, {count})" for name in contract.outputs),
        "precision": contract.precision,
        **({} if contract.calibration is None else {"calibration": contract.calibration.protocol}),
        **({} if contract.conformal is None else {"unsure bands": contract.conformal.protocol}),
        "largest difference": f"{written.difference:.1e} from torch, batches of {batches}; {kinds} faces{alone}",
        **lower,
        "faces cut by": f"align={crop}" if crop else "not known; give the crops.json of the training data as crop=FILE",
    }


def _report(output: Path, facts: Mapping[str, str]) -> None:
    table = plain_table("Exported", ["", "model"], [])
    for name, text in facts.items():
        table.add_row(name, text)
    print_tables(table)
    print_lines(f"Use it: faceflow-infer onnx={output} source=VIDEO output=aus.csv")
