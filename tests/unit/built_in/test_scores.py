"""The built-in models are as good as they were on faces that they were not trained on."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from faceflow.aus import side_of
from faceflow.built_in.models import MODELS, built_in_model
from faceflow.data.features import read_features
from faceflow.inference.onnx_model import OnnxModel

FACES = Path("tests/data/rendered_faces")  # 87 faces of 18 subjects of faceflow-render, seed 123; see its README.md
FIGURES = json.loads((FACES / "figures.json").read_text())
LEAST = 3  # faces that show an AU, for it to count
TOLERANCE = 0.003  # processors round differently


def agreement(estimated: np.ndarray, truth: np.ndarray) -> float:
    """ICC(3,1) of two raters, by the analysis of variance (Shrout and Fleiss 1979)."""
    ratings = np.stack([estimated, truth], axis=1)
    faces, raters = ratings.mean(axis=1), ratings.mean(axis=0)
    between = 2 * ((faces - ratings.mean()) ** 2).sum() / (len(faces) - 1)
    residual = ((ratings - faces[:, None] - raters + ratings.mean()) ** 2).sum() / (len(faces) - 1)
    return float((between - residual) / (between + residual))


@pytest.mark.parametrize("name", MODELS)
def test_a_built_in_model_scores_no_worse_than_its_figures(name: str) -> None:
    labels = pd.read_csv(FACES / "labels.csv")
    files = [str(FACES / "crops" / file) for file in labels["filename"]]
    store = read_features(files, key="labels")
    model = OnnxModel(built_in_model(name), provider="cpu")
    size = (model.contract.image_size,) * 2
    images = [cv2.resize(cv2.imread(file)[..., ::-1], size, interpolation=cv2.INTER_AREA) for file in files]
    scores = model.run(np.stack(images), np.stack([store[row] for row in range(len(store))]))
    assert scores.intensity is not None
    ranking, agreeing = [], []
    for index, au in enumerate(model.contract.aus):
        if side_of(au):
            continue
        of_au = [au] if au in labels else [f"{au}_L", f"{au}_R"]
        truth = labels[of_au].max(axis=1).to_numpy(np.float64)
        if (truth >= 2).sum() >= LEAST:
            ranking.append(roc_auc_score(truth >= 2, scores.probability[:, index]))
            agreeing.append(agreement(scores.intensity[:, index], truth))
    figures = FIGURES[name]
    assert len(ranking) == figures["AUs"]
    assert float(np.mean(ranking)) >= figures["AUROC"] - TOLERANCE
    assert float(np.mean(agreeing)) >= figures["ICC"] - TOLERANCE
