"""`faceflow.export`: export an ONNX file from Python, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from faceflow.api.result_tables import facts_table
from faceflow.api.running import run_command, torch_restored

if TYPE_CHECKING:
    from pandas import DataFrame

    from faceflow.inference.contract import ModelContract


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedModel:
    """An exported model.

    Attributes:
        path: the ONNX file, for `faceflow.load`.
        contract: metadata in the file: AUs, thresholds, how faces are cut, test metrics.
        difference: largest difference between any output and torch's, in single precision.
        table: the table that the command prints, one row per fact.
    """

    path: Path
    contract: ModelContract = field(repr=False)
    difference: float
    table: DataFrame = field(repr=False)


def export(
    overrides: Sequence[str] = (),
    *,
    checkpoint: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool | None = None,
    precision: str | None = None,
    data: str | Sequence[str] | None = None,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    crop: str | Path | None = None,
    card: str | Path | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    config_dir: str | Path | None = None,
) -> ExportedModel:
    """Write a checkpoint's network as one ONNX file, as `faceflow-export` does.

    >>> model = faceflow.export(checkpoint=run.checkpoint, output="model.onnx")
    >>> model.path.name
    'model.onnx'
    >>> model.contract.aus
    ('AU1', 'AU6', 'AU12')

    Args:
        overrides: any settings, written as on the command line.
        checkpoint: best.ckpt of a run.
        output: file to write, such as "model.onnx".
        overwrite: whether to replace an existing file.
        precision: "fp32", "fp16_stored", "int8_stored", "fp16", "int8" or "int8_static".
        data: labelled faces for the comparison with torch and for the cost of a lower precision; see `faceflow.train`.
        labels: CSV of your own labels.
        images: folder of its faces.
        crop: crops.json of the training faces, if the checkpoint does not hold its content.
        card: file for a card in Hugging Face format, such as "README.md".
        batch_size: faces per batch.
        workers: loader processes; 0 loads in the main process.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        ExportError: the network cannot be exported, or loses more than `max_drop`; no file is left.
        FaceFlowError: data or files cannot be used; see its subclasses.
    """
    values = {
        "checkpoint": checkpoint,
        "output": output,
        "overwrite": overwrite,
        "precision": precision,
        "data": data,
        "data.labels": labels,
        "data.images": images,
        "crop": crop,
        "card": card,
        "loader.batch_size": batch_size,
        "loader.workers": workers,
    }

    def task(config: DictConfig) -> ExportedModel:
        with torch_restored():
            from faceflow.exporting.export import export

            done = export(config)
        table = facts_table(done.facts)
        return ExportedModel(path=done.path.absolute(), contract=done.contract, difference=done.difference, table=table)

    return run_command("export", values, overrides, config_dir, task)
