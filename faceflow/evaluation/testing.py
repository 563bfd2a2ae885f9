"""Testing a network: predict a split once, score it at frozen thresholds, write and show what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig

from faceflow.console import print_lines, print_tables
from faceflow.data.datamodule import evaluation_dataset, make_loader
from faceflow.data.loader_processes import Loader, check_shared_memory, explain_loss
from faceflow.data.sampling import EpochSampler
from faceflow.data.sources import FaceTable
from faceflow.data.splits import Tables
from faceflow.data.transforms import Pipeline
from faceflow.errors import LoaderError
from faceflow.evaluation.intervals import with_intervals
from faceflow.evaluation.predictors import Predictor
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.scoring import ScoredSet, SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.models.checkpoint import Payload
from faceflow.progress import progress_bar
from faceflow.report.example_faces import Results
from faceflow.report.pictures import draw_pictures
from faceflow.report.result_files import marked, per_au_frame, write_json, write_table
from faceflow.report.tables import results_table


@dataclass(frozen=True, kw_only=True)
class TestScores:
    """Scores per data set, and the decoded predictions of all rows."""

    __test__ = False  # not a pytest class

    evaluations: Mapping[str, Evaluation]
    pooled: ScoredSet
    prediction: Prediction


def test_network(
    predictor: Predictor,
    thresholds: Mapping[str, float],
    tables: Sequence[FaceTable],
    *,
    pipeline: Pipeline,
    batch_size: int,
    workers: int,
    timeout_s: float,
    bootstrap: Mapping[str, int] | None,
) -> TestScores:
    """Score a network on tables at thresholds that validation left.

    Runs on one device, so that no row is padded or lost. `bootstrap` holds the arguments of `with_intervals`; None
    leaves intervals out.
    """
    spec = predictor.spec
    dataset = evaluation_dataset(tables, spec.aus, spec.cutpoints, pipeline)
    sampler = EpochSampler(len(dataset), shuffle=False, seed=0)
    loader = make_loader(dataset, sampler, batch_size=batch_size, workers=workers, timeout_s=timeout_s, drop_last=False)
    check_shared_memory([loader])
    rows, outputs = predict(predictor, loader)
    scorer = SplitScorer(tables, spec)
    prediction, _ = scorer.merged(scorer.pooled, rows, outputs)
    evaluations = scorer.score(rows, outputs, thresholds)
    if bootstrap is not None:
        evaluations = with_intervals(evaluations, scorer, tables, rows, outputs, **bootstrap)
    return TestScores(evaluations=evaluations, pooled=scorer.pooled, prediction=prediction)


test_network.__test__ = False  # type: ignore[attr-defined]


def predict(predictor: Predictor, loader: Loader) -> tuple[NDArray[np.intp], Prediction]:
    """Row numbers (N,) and predictions (N, A) of a loader.

    Raises:
        LoaderError: one of its processes died or gave no batch.
    """
    rows, predictions = [], []
    try:
        with progress_bar("Testing", len(loader.sampler), unit="faces") as bar:  # type: ignore[arg-type]
            for batch in loader:
                rows.append(batch["index"].numpy().copy())  # not shared memory, which would be taken until the end
                predictions.append(predictor(batch["eval"]))
                bar.advance(len(batch["index"]))
    except Exception as error:
        if lost := explain_loss(error, loader.num_workers):
            raise LoaderError(lost) from error
        raise
    intensities = [part.intensity for part in predictions if part.intensity is not None]
    return np.concatenate(rows), Prediction(
        probability=np.concatenate([part.probability for part in predictions]),
        intensity=np.concatenate(intensities) if intensities else None,
    )


def report_test(
    result: TestScores,
    tables: Sequence[FaceTable],
    payload: Payload,
    cfg: DictConfig,
    *,
    title: str,
    splits: Tables,
    extra: Mapping[str, Any],
) -> None:
    """Write metrics.json, per_au.csv, predictions.csv, pictures and report.html, and print a table per data set.

    Args:
        result: of `test_network`.
        tables: that were tested.
        payload: of the checkpoint; its protocol goes beside every number.
        cfg: of the command; `paths.output` is the folder, and `pictures` whether to draw and to write the report.
        title: of the tables.
        splits: all data of the run, for the report.
        extra: further entries of metrics.json.
    """
    output = Path(cfg.paths.output)
    write_table(output / "per_au.csv", marked(per_au_frame(result.evaluations), payload.protocol))
    write_table(output / "predictions.csv", _prediction_frame(result, tables))
    shown = [
        results_table(evaluation, title=f"{title}: {name}", protocol=payload.protocol)
        for name, evaluation in result.evaluations.items()
    ]
    for table in shown:
        print_tables(table)
    scores = {name: evaluation.to_dict() for name, evaluation in result.evaluations.items()}
    content = {**extra, "protocol": payload.protocol, "test": scores}
    if cfg.pictures:
        pictures = draw_pictures(_results(result, tables), title=title, protocol=payload.protocol, output=output)
        aus = payload.spec.aus
        page = report_run(cfg, content, title=title, aus=aus, splits=splits, results=shown, pictures=pictures)
        print_lines(f"Report: {page}")
    # Last, because it marks a finished run.
    write_json(output / "metrics.json", content)
    print_lines(f"Numbers: {output / 'metrics.json'}, per_au.csv, predictions.csv")


def _results(result: TestScores, tables: Sequence[FaceTable]) -> Results:
    truth, prediction = result.pooled.truth, result.prediction
    return Results(
        aus=truth.aus,
        probability=prediction.probability,
        truth=truth.occurrence,
        observed=truth.observed,
        evaluation=result.evaluations[result.pooled.name],
        intensity=None if prediction.intensity is None else (prediction.intensity, truth.intensity),
        persons=[str(person) for table in tables for person in table.persons],
        files=[str(file) for table in tables for file in table.files],
    )


def _prediction_frame(result: TestScores, tables: Sequence[FaceTable]) -> pd.DataFrame:
    truth, prediction = result.pooled.truth, result.prediction
    columns: dict[str, Any] = {
        "dataset": np.concatenate([np.repeat(table.name, len(table)) for table in tables]),
        "filename": np.concatenate([table.filenames for table in tables]),
        "person": np.concatenate([table.persons for table in tables]),
    }
    for column, au in enumerate(truth.aus):
        # All digits of the network's own type: rounded, scores that differ would tie, and AP and AUROC with them.
        columns[f"{au}_prob"] = prediction.probability[:, column].astype(np.float32)
        if prediction.intensity is not None:
            columns[f"{au}_int"] = prediction.intensity[:, column].astype(np.float32)
        occurrence = np.where(truth.observed[:, column], truth.occurrence[:, column].astype(float), np.nan)
        columns[f"{au}_occurs"] = pd.array(occurrence, dtype="Int8")
        if np.isfinite(truth.intensity[:, column]).any():
            columns[au] = truth.intensity[:, column]
    return pd.DataFrame(columns)
