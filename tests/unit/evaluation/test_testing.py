"""A test scores every row once, at thresholds tuned on other data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import DataError
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.testing import TestScores, test_network
from faceflow.metrics.au_scores import Prediction
from tests.helpers.faces import read_folder, write_image
from tests.helpers.networks import network_spec

LOADING = Loading(batch_size=2, workers=0, timeout_s=0)


class Brightness:
    """Predicts the mean brightness of a face for both AUs."""

    spec = network_spec()

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        assert images is not None
        means = images.float().mean(dim=(1, 2, 3)).numpy().astype(np.float64) / 255
        return Prediction(probability=np.stack([means, means], axis=1), intensity=None)


def pipeline() -> Pipeline:
    resize = {"_target_": "albumentations.Resize", "height": 16, "width": 16}
    return build_pipeline({"resize": resize}, key="transforms.eval")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    """Five gray faces; AU1 occurs on the three brightest, AU12 on the two darkest."""
    folder = tmp_path_factory.mktemp("gray")
    (folder / "images").mkdir()
    lines = ["filename,subject,AU1,AU12"]
    for row, gray in enumerate((0, 51, 102, 153, 204)):
        write_image(folder / "images" / f"{row}.png", np.full((20, 20, 3), gray, np.uint8))
        lines.append(f"{row}.png,s{row},{5 * (row >= 2)},{5 * (row < 2)}")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return read_folder(folder)


def score(faces: FaceTable, thresholds: dict[str, float], bootstrap: Bootstrap | None = None) -> TestScores:
    return test_network(
        Brightness(), thresholds, [faces], pipeline=pipeline(), loading=LOADING, bootstrap=bootstrap, center=None
    )


def test_every_row_is_predicted_once_in_its_place(faces: FaceTable) -> None:
    found = score(faces, {"AU1": 0.3, "AU12": 0.3})
    np.testing.assert_allclose(found.prediction.probability[:, 0], [0, 0.2, 0.4, 0.6, 0.8])
    assert found.results.subjects is not None
    assert list(found.results.subjects) == faces.subjects.tolist()
    assert found.results.files == [str(file) for file in faces.files]


def test_scores_are_those_of_the_given_thresholds(faces: FaceTable) -> None:
    # At 0.5 AU1 has two hits and a miss, and AU12 two false alarms and two misses.
    pooled = score(faces, {"AU1": 0.3, "AU12": 0.5}).pooled
    assert pooled.columns["f1_val"].tolist() == [1.0, 0.0]
    assert pooled.columns["f1_0.5"].tolist() == pytest.approx([2 * 2 / (2 * 2 + 1), 0.0])
    assert pooled.columns["auroc"].tolist() == [1.0, 0.0]
    assert "f1_val_low" not in pooled.summary


def test_intervals_are_added_where_they_are_asked_for(faces: FaceTable) -> None:
    pooled = score(faces, {"AU1": 0.3, "AU12": 0.5}, Bootstrap(resamples=10, seed=0)).pooled
    assert pooled.summary["f1_val_low"] <= pooled.summary["f1_val"] <= pooled.summary["f1_val_high"]


def test_a_face_that_is_gone_is_named(faces: FaceTable, tmp_path: Path) -> None:
    gone = dataclasses.replace(faces.select(np.arange(5) == 0, None), files=np.array([str(tmp_path / "gone.png")]))
    with pytest.raises(DataError, match=r"gone\.png"):
        score(gone, {})
