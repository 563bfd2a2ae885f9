"""`faceflow.train`: train from Python, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from faceflow.api.result_tables import folds_table, read_metrics, scores_table
from faceflow.api.running import check_one_device, run_command, torch_restored

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRun:
    """A training run and the test of its best checkpoint.

    Attributes:
        folder: where all results are.
        monitor: metric by which the checkpoint was chosen.
        best: best value of `monitor`, averaged over folds; None after a preview or a data report.
        checkpoint: the best checkpoint; None if there are several folds or nothing was trained.
        folds: folder of each fold by name; empty if the protocol has a single split.
        table: test scores, one row per data set and AU plus one for the mean over AUs (`au` is "mean"); with folds, one
            row per fold plus summary rows. None if nothing was tested.
        metrics: content of metrics.json; empty if there is no such file.
    """

    folder: Path
    monitor: str
    best: float | None
    checkpoint: Path | None
    folds: Mapping[str, Path]
    table: DataFrame | None = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)


def train(
    overrides: Sequence[str] = (),
    *,
    output: str | Path | None = None,
    overwrite: bool | None = None,
    resume: str | Path | None = None,
    init_weights: str | Path | None = None,
    experiment: str | None = None,
    data: str | Sequence[str] | None = None,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    unlabeled: str | Path | Sequence[str | Path] | None = None,
    aus: str | Sequence[str] | None = None,
    protocol: str | None = None,
    model: str | None = None,
    method: str | None = None,
    loss: str | None = None,
    levels: int | None = None,
    seed: int | None = None,
    max_epochs: int | None = None,
    baseline: str | Path | None = None,
    center: str | None = None,
    audit: str | Sequence[str] | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    config_dir: str | Path | None = None,
) -> TrainingRun:
    """Train a network and test its best checkpoint, as `faceflow-train` does.

    >>> run = faceflow.train(["loss=focal"], data="csv", labels="faces.csv", images="crops", max_epochs=1)
    >>> run.checkpoint.name
    'best.ckpt'
    >>> list(run.table["au"])
    ['AU1', 'AU6', 'AU12', 'mean']

    Prints and writes what the command does, including train.log and config.yaml. A setting that you leave out has its
    default, which `faceflow-train --cfg job` prints. Only one training run is active at a time; other
    threads wait for it. While it is active, `seed` seeds the random numbers of Python, NumPy and torch. Their state is
    restored afterwards, as are logging, warnings, environment variables, signal handlers and Hydra.

    Args:
        overrides: any settings, written as on the command line, such as ["scheduler=poly", "optimizer.lr=1e-4"].
        output: folder for the results (hydra.run.dir); default: a folder in runs/train named by date and time.
        overwrite: whether to replace the results of an earlier run in `output`.
        resume: checkpoint of an interrupted run to continue from.
        init_weights: checkpoint whose network initialises a new run.
        experiment: a named set of settings, such as "quickstart" or "disfa".
        data: data sets, such as "disfa", ["disfa", "bp4d"], or "csv" for your own `labels` and `images`.
        labels: CSV with columns AU1, AU2, ..., filename and subject.
        images: folder of the faces.
        unlabeled: folder or CSV of unlabelled faces, or a list of these.
        aus: a set of AUs, such as "disfa8", or a list, such as ["AU6", "AU12"].
        protocol: how subjects are split for testing, such as "holdout", "kfold" or "disfa3".
        model: backbone, such as "small" or "resnet18".
        method: such as "supervised", "fixmatch" or "miro".
        loss: such as "bce" or "focal".
        levels: 1 for occurrence, 5 for FACS intensity.
        seed: seed of weights, batches and augmentation.
        max_epochs: number of epochs.
        baseline: another model to score on the test faces: "built_in", or an exported file.
        center: "subject" adds test scores that are centred by subject.
        audit: label columns whose groups are scored in the test, such as ["sex", "glasses"].
        batch_size: labelled faces per step.
        workers: loader processes; 0 loads in the main process.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown, out of range, or asks for several runs or devices.
        FaceFlowError: data, files or loader processes failed; see its subclasses.
        KeyboardInterrupt: the run was interrupted; a note on the exception says how to resume.
    """
    chosen = {"aus": aus} if aus is None or isinstance(aus, str) else {"aus.names": aus}
    values = {
        "experiment": experiment,
        "data": data,
        "data.labels": labels,
        "data.images": images,
        "unlabeled": unlabeled,
        **chosen,
        "protocol": protocol,
        "model": model,
        "method": method,
        "loss": loss,
        "levels": levels,
        "seed": seed,
        "trainer.max_epochs": max_epochs,
        "baseline": baseline,
        "center": center,
        "audit": audit,
        "loader.batch_size": batch_size,
        "loader.workers": workers,
        "resume": resume,
        "init_weights": init_weights,
        "overwrite": overwrite,
        "hydra.run.dir": output,
    }

    def task(config: DictConfig) -> TrainingRun:
        check_one_device(config.trainer)
        with torch_restored():
            from faceflow.training.train import train

            run = train(config)
        metrics = read_metrics(run.folder) if run.best is not None else {}
        table = scores_table(metrics["test"]) if "test" in metrics else None
        if run.folds and metrics:
            table = folds_table(run.folder)
        return TrainingRun(
            folder=run.folder,
            monitor=run.monitor,
            best=run.best,
            checkpoint=run.checkpoint,
            folds=run.folds,
            table=table,
            metrics=metrics,
        )

    return run_command("train", values, overrides, config_dir, task)
