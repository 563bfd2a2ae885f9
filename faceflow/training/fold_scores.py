"""The scores of all folds side by side, with their mean and standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from faceflow.data.assembly import POOLED
from faceflow.report.files import write_json, write_table
from faceflow.report.tables import FoldScores, folds_table, say, show, spread
from faceflow.training.earlier import read_record
from faceflow.training.fold import FoldRun
from faceflow.training.record import run_record

_OCCURRENCE = ("f1_val", "f1_0.5", "ap", "auroc")


def report_folds(cfg: DictConfig, runs: Sequence[FoldRun], *, unit: str, rule: str, started: float) -> float:
    """Write metrics.json, folds.csv and folds.txt over finished folds, and print the table.

    Args:
        cfg: config of the command.
        runs: its folds.
        unit: what the name of a fold names.
        rule: how rows were split, in words.
        started: time.time() at the start.

    Returns:
        The mean of the folds' best values of `monitor`.

    Raises:
        DataError: the record of a fold is damaged, or a file cannot be written.
    """
    output = Path(cfg.paths.output)
    records = [read_record(run.output) for run in runs]
    folds = [_scores(run, record) for run, record in zip(runs, records, strict=True)]
    summary = spread(folds)
    best = float(np.mean([record["monitor"]["best"] for record in records]))
    protocol = {"split": rule, "labels": runs[0].protocol["labels"]}
    caption = "; ".join(f"{key}: {text}" for key, text in protocol.items())
    caption += f"\nmean and sample standard deviation over {unit}s; each score is a mean over the AUs of its row"
    say("")
    show(folds_table(folds, title=f"Test by {unit}", unit=unit, caption=caption), saved_to=output / "folds.txt")
    write_table(output / "folds.csv", _frame(folds, summary, unit))
    content = {
        "monitor": {"metric": cfg.monitor, "best": best},
        "run": run_record(seed=cfg.seed, protocol=protocol, splits={}, started=started),
        "protocol": protocol,
        "folds": {fold.name: record for fold, record in zip(folds, records, strict=True)},
        **summary,
    }
    write_json(output / "metrics.json", content)
    say(f"Mean of the best {cfg.monitor}: {best:.4f}", f"Numbers: {output / 'metrics.json'}, folds.csv")
    return best


def _scores(run: FoldRun, record: Mapping[str, Any]) -> FoldScores:
    """Scores of the test faces of all data sets together; of the validation, where nothing was tested."""
    tables = run.streams["test"]
    if run.cfg.test:
        evaluations = record["test"]
        summary = evaluations[POOLED if POOLED in evaluations else tables[0].name]["summary"]
        names = [*_OCCURRENCE, *(["icc"] if run.cfg.levels > 1 else [])]
        aus, scores = int(summary["valid_aus"]), {name: summary.get(name) for name in names}
    else:
        aus, scores = len(run.aus), {run.cfg.monitor: record["monitor"]["best"]}
    return FoldScores(
        name=str(run.name),
        images=sum(map(len, tables)),
        persons=len({str(person) for table in tables for person in table.persons}),
        aus=aus,
        scores={name: np.nan if score is None else float(score) for name, score in scores.items()},
    )


def _frame(folds: Sequence[FoldScores], summary: Mapping[str, Mapping[str, float]], unit: str) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {unit: fold.name, "images": fold.images, "persons": fold.persons, "aus": fold.aus, **fold.scores}
        for fold in folds
    ]
    rows += [{unit: label, **scores} for label, scores in summary.items()]
    return pd.DataFrame(rows).astype(dict.fromkeys(("images", "persons", "aus"), "Int64"))
