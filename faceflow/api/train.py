"""`faceflow.train`: a training from Python, and what it returns."""

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
    """A training, and the test of its best checkpoint.

    Attributes:
        folder: of all results.
        monitor: metric that chose the checkpoint.
        best: its best value, over folds the mean; None after a preview or a data report.
        checkpoint: the best one; None where there are several folds, or none was trained.
        folds: folder of every fold by name; empty where the protocol has one only.
        table: scores of the test, a row per data set and AU, and one for their mean (`au` is "mean" there); over folds
            a row per fold and the rows that sum them up. None where nothing was tested.
        metrics: content of metrics.json; empty where there is none.
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

    Prints and writes what the command does, train.log and config.yaml included. A setting that is left out has its
    default, which `faceflow-train --cfg job` prints. One training runs at a time; other threads wait for it. While it
    runs, `seed` seeds the random numbers of Python, NumPy and torch. Afterwards they are as before, and so are logging,
    warnings, environment variables, signal handlers and Hydra.

    Args:
        overrides: any settings as on the command line, such as ["scheduler=poly", "optimizer.lr=1e-4"].
        output: folder of the results (hydra.run.dir); default: one named by the time, below runs/train.
        overwrite: whether the results of an earlier run in `output` are replaced.
        resume: checkpoint of an interrupted run to go on from.
        init_weights: checkpoint whose network is the start of a new run.
        experiment: a named set of settings, such as "quickstart" or "disfa".
        data: data sets, such as "disfa", ["disfa", "bp4d"], or "csv" for your own `labels` and `images`.
        labels: CSV with columns AU1, AU2, ..., filename and subject.
        images: folder of the faces.
        unlabeled: folder or CSV of unlabelled faces, or several.
        aus: a set of AUs, such as "disfa8", or a list, such as ["AU6", "AU12"].
        protocol: who is tested, such as "holdout", "kfold" or "disfa3".
        model: backbone, such as "small" or "resnet18".
        method: such as "supervised", "fixmatch" or "miro".
        loss: such as "bce" or "focal".
        levels: 1 for occurrence, 5 for FACS intensity.
        seed: of weights, splits of batches and augmentation.
        max_epochs: length of the training.
        baseline: another model on the tested faces: "built_in", or an exported file.
        center: "subject", to give every score of the test also centred by subject.
        audit: columns of the labels whose groups are scored in the test, such as ["sex", "glasses"].
        batch_size: labelled faces per step.
        workers: loader processes; 0 loads in this one.
        config_dir: folder with configs of your own, as `--config-dir`.

    Raises:
        ConfigError: a setting that is unknown, out of range, or asks for several runs or devices.
        FaceFlowError: data, files or loader processes that fail; see its subclasses.
        KeyboardInterrupt: interrupted; its note says how to go on.
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
