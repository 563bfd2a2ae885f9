"""Score the built-in models and write their card: `python scripts/model_card.py --help`.

    python scripts/model_card.py --rendered rendered_test --real realfaces --output faceflow/built_in/README.md
    python scripts/model_card.py --output faceflow/built_in/README.md  # from the stored scores

A set of faces is an output folder of faceflow-crop: crops, their features and labels.csv. Every model is tested on it
with `faceflow.test` at the thresholds stored in the model. Means are over the AUs, without the rows for one side, that
at least three faces show and at least three do not. Intervals (95 %) come from drawing subjects with replacement. The
scores are kept in model_card.csv, the prose of the card in model_card.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import faceflow
from faceflow.aus import side_of
from faceflow.built_in.models import FOLDER, MODELS
from faceflow.cards import TAGS, markdown_table, write_card
from faceflow.files import whole_file
from faceflow.inference.decision import thresholds_of
from faceflow.inference.onnx_model import OnnxModel
from faceflow.metrics.au_scores import Prediction, evaluate

Array = NDArray[np.float64]

METRICS = {"AUROC": "auroc", "F1": "f1_val", "ICC": "icc"}  # our column -> column of `evaluate`
HEADERS = ["AUROC", "F1", "ICC(3,1)"]
LEAST = 3  # minimum number of faces that show an AU, and that do not, for it to count
MEAN = "mean"  # over AUs; stands in the column of the AU
COLUMNS = [
    *("set", "model", "faces", "subjects", "au", "counted"),
    *(f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")),
]
HERE = Path(__file__).resolve().parent
SCORES, PROSE = HERE / "model_card.csv", HERE / "model_card.md"
PLACE = "<!-- scores -->"  # placeholder in the prose
FRONT = {
    "license": "mit",
    "library_name": "faceflow",
    "pipeline_tag": "image-classification",
    "base_model": "timm/tf_efficientnet_lite0.in1k",
    "tags": [*TAGS, "onnx"],
    "metrics": ["roc_auc", "f1"],
}
TITLES = {"rendered": "Rendered faces of subjects not trained on", "real": "Real faces"}
NOTES = {
    "real": (
        "The real faces are {faces} photographs and film frames from public repositories' test data, most of them of "
        "one woman, coded by eye for this project by one coder; AU14, AU24 and AU28 are hard to code from stills. No "
        "model was trained on them, but five numbers were chosen by looking at them: AU4, AU5, AU7 and AU17 of the "
        "renderer were made 1.3 to 2.2 times as strong (`configs/render.yaml`), and pixels weigh 0.35. Thresholds are "
        "those of the rendered validation subjects."
    )
}


def score(folder: Path, model: Path, *, resamples: int) -> pd.DataFrame:
    """Test a model on a set.

    Returns:
        A row of means with their intervals, then a row per AU: `faces` and `subjects` of the set, `au`, `counted` (for
        means the number of AUs, for an AU the faces that show it) and `METRICS`, NaN if there are too few faces.
    """
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
        """The metrics of some faces and AUs, (A, 3); NaN if an AU has only one class."""
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
    subjects = rows["subject"].unique()
    groups = [np.flatnonzero(rows["subject"] == subject) for subject in subjects]
    rng, draws = np.random.default_rng(0), []
    for _ in range(resamples):
        drawn = np.concatenate([groups[subject] for subject in rng.integers(0, len(groups), len(groups))])
        draws.append(np.nanmean(scored(drawn, counted), axis=0))
    bounds = np.nanpercentile(draws, [2.5, 97.5], axis=0) if draws else np.full((2, len(METRICS)), np.nan)
    mean = dict(zip(METRICS, values[counted].mean(axis=0), strict=True))
    for end, ends in zip(("low", "high"), bounds, strict=True):
        mean |= {f"{name}_{end}": value for name, value in zip(METRICS, ends, strict=True)}
    means = [{"au": MEAN, "counted": len(counted), **mean}]
    per_au = [
        {"au": au, "counted": shown, **dict(zip(METRICS, row, strict=True))}
        for au, shown, row in zip(aus, positives, values, strict=True)
    ]
    frame = pd.DataFrame([*means, *per_au]).round(4)
    return pd.DataFrame({"faces": len(rows), "subjects": len(subjects)}, index=frame.index).join(frame)


def card_parts(scores: pd.DataFrame) -> Iterator[str]:
    """Paragraphs and tables of the card; `scores` are rows of `score` with `set` and `model`."""
    before, after = PROSE.read_text("utf-8").split(PLACE)
    yield before.strip()
    for name, of_set in scores.groupby("set", sort=False):
        models = {str(model): rows.set_index("au") for model, rows in of_set.groupby("model", sort=False)}
        first = next(iter(models.values()))
        about = first.loc[MEAN]
        yield f"### {TITLES[str(name)]}"
        yield (
            f"{about['faces']:.0f} faces of {about['subjects']:.0f} subjects. Occurrence is intensity >= 2, F1 at the "
            f"thresholds in the file, all means over the {about['counted']:.0f} AUs that at least three faces show and "
            "three do not; in brackets 95 % intervals over subjects."
        )
        yield markdown_table(["model", *HEADERS], [[model, *_means(rows)] for model, rows in models.items()])
        yield "AUROC / F1 / ICC of each AU:"
        per_au = [
            [au, str(int(row["counted"])), *(_scores_of(rows, au) for rows in models.values())]
            for au, row in first.drop(index=MEAN).iterrows()
        ]
        yield markdown_table(["AU", "faces that show it", *models], per_au)
        if name in NOTES:
            yield NOTES[str(name)].format(faces=int(about["faces"]))
    yield after.strip()


def _means(rows: pd.DataFrame) -> list[str]:
    mean = rows.loc[MEAN]
    return [f"{mean[name]:.3f} ({mean[f'{name}_low']:.3f} to {mean[f'{name}_high']:.3f})" for name in METRICS]


def _scores_of(rows: pd.DataFrame, au: str) -> str:
    values = [rows.loc[au, name] for name in METRICS]
    return " / ".join("-" if np.isnan(value) else f"{value:.2f}".removeprefix("0") for value in values)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score the given sets of faces, and write the card and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=FOLDER, help="folder of fused.onnx and fast.onnx")
    parser.add_argument("--rendered", type=Path, help="folder of rendered faces of subjects not trained on")
    parser.add_argument("--real", type=Path, help="folder of real faces")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of subjects for the intervals")
    parser.add_argument(
        "--scores", type=Path, default=SCORES, help="stored scores; those of the given sets are replaced"
    )
    parser.add_argument("--output", type=Path, required=True, help="the card to write")
    parser.add_argument("--figures", type=Path, help="file for the means as JSON")
    options = parser.parse_args(arguments)
    folders = {name: folder for name in TITLES if (folder := getattr(options, name)) is not None}
    found = [
        score(folder, options.models / f"{model}.onnx", resamples=options.resamples).assign(set=name, model=model)
        for name, folder in folders.items()
        for model in MODELS
    ]
    if options.scores.is_file():
        earlier = pd.read_csv(options.scores)
        found.append(earlier[~earlier["set"].isin(folders)])
    scores = pd.concat(found).sort_values("set", key=lambda sets: sets.map(list(TITLES).index), kind="stable")
    if folders:
        with whole_file(options.scores) as partial:
            scores.to_csv(partial, index=False, columns=COLUMNS)
    write_card(options.output, FRONT, list(card_parts(scores)))
    if options.figures is not None:
        means = scores[scores["au"] == MEAN]
        figures: dict[str, dict[str, dict[str, float]]] = {name: {} for name in means["set"]}
        for _, row in means.iterrows():
            figures[row["set"]][row["model"]] = {name: row[name] for name in METRICS} | {
                "faces": int(row["faces"]),
                "AUs": int(row["counted"]),
            }
        with whole_file(options.figures) as partial:
            partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(options.output.read_text("utf-8"))


if __name__ == "__main__":
    main()
