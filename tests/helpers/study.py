"""Random scores, and folders of tests as the commands write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from studies.run_scores import CENTRED, RunScores, Scored
from studies.runs import Conditions

from faceflow.metrics.au_scores import Evaluation, Prediction, evaluate
from faceflow.report.result_files import per_au_frame, write_json, write_table

CONDITIONS = Conditions(
    images=Path("/faces"),
    output=Path("/study"),
    model="compact",
    weights=None,
    size=32,
    steps=402,
    jobs=1,
    workers=0,
    trainer="cpu",
    overrides=("optimizer.weight_decay=0.1",),
)
AUS = ("AU1", "AU4", "AU12")


def random_scores(rng: np.random.Generator, subjects: Sequence[str], *, faces: int = 6) -> Scored:
    """Scores with ties for some faces per subject and a tenth of the labels missing; one subject alone shows AU12."""
    who = np.repeat(list(subjects), faces)
    truth = rng.random((len(who), len(AUS))) < 0.4
    truth[:, 2] &= who == who[0]
    return Scored(
        aus=AUS,
        faces=np.array([f"{name}_{number}.png" for number, name in enumerate(who)]),
        subjects=who,
        probability=rng.integers(0, 9, truth.shape) / 8,
        truth=truth,
        observed=rng.random(truth.shape) < 0.9,
        thresholds=np.array([0.3, 0.5, 0.6]),
    )


def scores_of_run(
    scored: Scored, *, method: str, seed: int, test: str = "studio", centred: Scored | None = None
) -> RunScores:
    """A test with only scores."""
    return RunScores(method=method, seed=seed, test=test, numbers={}, scored=scored, centred=centred, protocol={})


def evaluation(scored: Scored) -> Evaluation:
    """Metrics that the commands compute from scores."""
    return evaluate(
        Prediction(probability=scored.probability, intensity=None),
        aus=scored.aus,
        occurrence=scored.truth,
        intensity=np.full(scored.truth.shape, np.nan),
        observed=scored.observed,
        thresholds=scored.thresholds,
    )


def write_test(folder: Path, scored: Scored, *, centred: Scored | None = None) -> None:
    """Write metrics.json, per_au.csv and predictions.csv of a test, with center=subject if there are centred scores."""
    folder.mkdir(parents=True, exist_ok=True)
    found = evaluation(scored)
    columns: dict[str, Any] = {"dataset": "studio", "filename": scored.faces, "subject": scored.subjects}
    for number, au in enumerate(scored.aus):
        columns[f"{au}_prob"] = scored.probability[:, number].astype(np.float32)
        occurs = np.where(scored.observed[:, number], scored.truth[:, number].astype(float), np.nan)
        columns[f"{au}_occurs"] = pd.array(occurs, dtype="Int8")
        if centred is not None:
            columns[f"{au}_prob_{CENTRED}"] = centred.probability[:, number].astype(np.float32)
    per_au, content = per_au_frame({"studio": found}), {"test": {"studio": found.to_dict()}}
    if centred is not None:
        shifted = evaluation(centred)
        per_au = pd.concat([per_au.assign(model="tested"), per_au_frame({"studio": shifted}).assign(model=CENTRED)])
        content[CENTRED] = {"test": {"studio": shifted.to_dict()}, "change": {}}
    write_table(folder / "predictions.csv", pd.DataFrame(columns))
    write_table(folder / "per_au.csv", per_au)
    write_json(folder / "metrics.json", content | {"protocol": {"test": "studio (two subjects)"}})
