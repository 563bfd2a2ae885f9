"""Score the built-in models and write their card: `python scripts/model_card.py --help`.

    python scripts/model_card.py --rendered rendered_test --real realfaces --output faceflow/built_in/README.md

A set of faces is a folder that faceflow-crop left: crops, their features and labels.csv. Every model is tested on it by
`faceflow.test` at the thresholds in its file. Means are over the AUs, sides aside, that at least three faces of the set
show and three do not; intervals (95 %) come from drawing its persons with replacement.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import faceflow
from faceflow.aus import side_of
from faceflow.files import whole_file
from faceflow.inference.decision import thresholds_of
from faceflow.inference.onnx_model import OnnxModel
from faceflow.metrics.au_scores import Prediction, evaluate

Array = NDArray[np.float64]

METRICS = {"AUROC": "auroc", "F1": "f1_val", "ICC": "icc"}  # heading -> column of `evaluate`
LEAST = 3  # faces that show an AU, and faces that do not, for it to count
MODELS = ("fused", "fast")
HERE = Path(__file__).resolve().parent
MODELS_FOLDER = HERE.parent / "faceflow" / "built_in"


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of one model on one set.

    Attributes:
        faces, persons: how many.
        values: (A, 3) AUROC, F1 and ICC of each AU, NaN where there are too few faces.
        positives: (A,) faces that show it.
        mean: (3,) of AUs that count.
        bounds: (2, 3) of its 95 % interval.
        counted: how many AUs count.
    """

    faces: int
    persons: int
    values: pd.DataFrame
    positives: pd.Series
    mean: Array
    bounds: Array
    counted: int


def score(folder: Path, model: Path, *, resamples: int) -> Scores:
    """Test a model on a set."""
    with tempfile.TemporaryDirectory() as output:
        faceflow.test(
            ["data.sources.csv.score_max=5", "pictures=false", "bootstrap.resamples=0"],
            onnx=model,
            data="csv",
            labels=folder / "labels.csv",
            images=folder / "crops",
            output=output,
            overwrite=True,
        )
        rows = pd.read_csv(Path(output) / "predictions.csv")
    aus = [name.removesuffix("_prob") for name in rows.columns if name.endswith("_prob")]
    contract = OnnxModel(model, provider="cpu").contract
    graded, probability, intensity = (
        rows[[au + suffix for au in aus]].to_numpy(np.float64) for suffix in ("", "_prob", "_int")
    )
    occurrence, observed = graded >= contract.occurrence_min, np.isfinite(graded)
    thresholds = thresholds_of(contract)

    def scored(faces: Sequence[int] | NDArray[np.intp], columns: Sequence[int]) -> Array:
        """The metrics of some faces and AUs, (A, 3); NaN where an AU has one class."""
        here = np.ix_(faces, columns)
        evaluation = evaluate(
            Prediction(probability=probability[here], intensity=intensity[here]),
            aus=[aus[column] for column in columns],
            occurrence=occurrence[here],
            intensity=graded[here],
            observed=observed[here],
            thresholds=thresholds[columns],
        )
        values = np.stack([evaluation.columns[name] for name in METRICS.values()], axis=1)
        return np.where(np.isfinite(evaluation.columns["auroc"])[:, None], values, np.nan)

    values = scored(range(len(rows)), range(len(aus)))
    positives, labels = (occurrence & observed).sum(axis=0), observed.sum(axis=0)
    values[np.minimum(positives, labels - positives) < LEAST] = np.nan
    counted = [column for column, au in enumerate(aus) if not side_of(au) and np.isfinite(values[column, 0])]
    persons = rows["person"].unique()
    groups = [np.flatnonzero(rows["person"] == person) for person in persons]
    rng, draws = np.random.default_rng(0), []
    for _ in range(resamples):
        drawn = np.concatenate([groups[person] for person in rng.integers(0, len(groups), len(groups))])
        draws.append(np.nanmean(scored(drawn, counted), axis=0))
    bounds = np.nanpercentile(draws, [2.5, 97.5], axis=0) if draws else np.full((2, len(METRICS)), np.nan)
    return Scores(
        faces=len(rows),
        persons=len(persons),
        values=pd.DataFrame(values, index=aus, columns=list(METRICS)),
        positives=pd.Series(positives, index=aus),
        mean=values[counted].mean(axis=0),
        bounds=bounds,
        counted=len(counted),
    )


def per_au(scores: Mapping[str, Scores]) -> Iterator[list[str]]:
    """Rows of a table: an AU, how many faces of the first set show it, and its scores by every model and set."""
    first = next(iter(scores.values()))
    for au in first.values.index:
        cells = [_cells(one.values.loc[au].to_numpy(np.float64)) for one in scores.values()]
        yield [au, str(first.positives[au]), *cells]


def _cells(values: Array) -> str:
    return " / ".join("-" if np.isnan(value) else f"{value:.2f}".removeprefix("0") for value in values)


def summary(one: Scores) -> list[str]:
    """Mean and interval of each metric."""
    return [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in zip(one.mean, *one.bounds, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, and write card and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS_FOLDER, help="folder of fused.onnx and fast.onnx")
    parser.add_argument("--rendered", type=Path, required=True, help="rendered faces of persons not trained on")
    parser.add_argument("--real", type=Path, help="real faces; their table is left out without them")
    parser.add_argument("--resamples", type=int, default=1000, help="of persons, for the intervals")
    parser.add_argument("--output", type=Path, required=True, help="the card")
    parser.add_argument("--figures", type=Path, help="the means as JSON")
    options = parser.parse_args(arguments)
    sets = {"rendered": options.rendered} | ({"real": options.real} if options.real else {})
    found = {
        name: {model: score(folder, options.models / f"{model}.onnx", resamples=options.resamples) for model in MODELS}
        for name, folder in sets.items()
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), trim_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    text = environment.get_template("model_card.md.jinja").render(found=found, summary=summary, per_au=per_au)
    figures = {
        name: {
            model: dict(zip(METRICS, one.mean.round(4).tolist(), strict=True))
            | {"faces": one.faces, "AUs": one.counted}
            for model, one in models.items()
        }
        for name, models in found.items()
    }
    for path, content in ((options.output, text), (options.figures, json.dumps(figures, indent=2))):
        if path is not None:
            with whole_file(path) as partial:
                partial.write_text(content.rstrip("\n") + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
