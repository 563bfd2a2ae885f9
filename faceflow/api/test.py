"""`faceflow.test`: test from Python, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from faceflow.api.result_tables import read_metrics, scores_table
from faceflow.api.running import run_command, torch_restored

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationRun:
    """A test of a checkpoint or an exported model.

    Attributes:
        folder: where all results are.
        f1: mean F1 over AUs at the validation thresholds, on all data sets pooled.
        table: one row per data set and AU, plus one for the mean over AUs (`au` is "mean").
        metrics: content of metrics.json.
    """

    folder: Path
    f1: float
    table: DataFrame = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)


def test(
    overrides: Sequence[str] = (),
    *,
    checkpoint: str | Path | None = None,
    onnx: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool | None = None,
    data: str | Sequence[str] | None = None,
    baseline: str | Path | None = None,
    center: str | None = None,
    audit: str | Sequence[str] | None = None,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    subset: str | None = None,
    same_subjects: bool | None = None,
    accelerator: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    config_dir: str | Path | None = None,
) -> EvaluationRun:
    """Test a checkpoint, or a model exported from it, as `faceflow-test` does.

    >>> tested = faceflow.test(checkpoint=run.checkpoint, data="csv", labels="new.csv", images="new")
    >>> list(tested.table["au"])
    ['AU1', 'AU6', 'AU12', 'mean']

    Args:
        overrides: any settings, written as on the command line.
        checkpoint: best.ckpt of a run.
        onnx: exported file to test in place of the network in the checkpoint.
        output: folder for the results (hydra.run.dir); default: a folder in runs/test named by date and time.
        overwrite: whether to replace the results of an earlier test in `output`.
        data: data sets; see `faceflow.train`.
        baseline: another model to score on the same faces: "built_in", or an exported file.
        center: "subject" adds scores that are centred by subject.
        audit: label columns whose groups are scored, such as ["sex", "glasses"].
        labels: CSV of your own labels.
        images: folder of its faces.
        subset: "unseen" subjects only, or "all".
        same_subjects: whether equal ids in other files mean the same subject; by default there is a warning.
        accelerator: "auto", "cpu" or "gpu".
        batch_size: faces per batch.
        workers: loader processes; 0 loads in the main process.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        FaceFlowError: data or files cannot be used; see its subclasses.
    """
    values = {
        "checkpoint": checkpoint,
        "onnx": onnx,
        "data": data,
        "baseline": baseline,
        "center": center,
        "audit": audit,
        "data.labels": labels,
        "data.images": images,
        "subset": subset,
        "same_subjects": same_subjects,
        "accelerator": accelerator,
        "loader.batch_size": batch_size,
        "loader.workers": workers,
        "overwrite": overwrite,
        "hydra.run.dir": output,
    }

    def task(config: DictConfig) -> EvaluationRun:
        with torch_restored():
            from faceflow.evaluation.test import test

            done = test(config)
        metrics = read_metrics(done.folder)
        table = scores_table(metrics.get("test", {}))  # a label check on stored predictions has no test
        return EvaluationRun(folder=done.folder, f1=done.f1_val, table=table, metrics=metrics)

    return run_command("test", values, overrides, config_dir, task)


test.__test__ = False  # type: ignore[attr-defined] # not a pytest function
