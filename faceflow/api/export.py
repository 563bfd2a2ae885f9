"""`faceflow.export`: an ONNX file from Python, and what it says of itself."""

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
        contract: what it says of itself: AUs, thresholds, how faces are cut, metrics of the test.
        difference: largest one of any output from torch, in single precision.
        table: what the command prints, one row per fact.
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
        overrides: any settings as on the command line.
        checkpoint: best.ckpt of a run.
        output: the file, such as "model.onnx".
        overwrite: whether a file that exists is replaced.
        precision: "fp32", "fp16_stored", "int8_stored", "fp16", "int8" or "int8_static".
        data: labelled faces to compare on, and to measure what a lower precision costs; see `faceflow.train`.
        labels: CSV of your own labels.
        images: folder of its faces.
        crop: crops.json of the training faces, where the checkpoint does not know it.
        card: file of a card in the format of Hugging Face, such as "README.md".
        batch_size: faces per batch.
        workers: loader processes; 0 loads in this one.
        config_dir: folder with configs of your own, as `--config-dir`.

    Raises:
        ConfigError: a setting that is unknown or out of range.
        ExportError: the network cannot be exported, or loses more than `max_drop`; no file is left.
        FaceFlowError: data or files that cannot be used; see its subclasses.
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
