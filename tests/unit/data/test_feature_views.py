from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.data.dataset import FaceDataset, Reads
from faceflow.data.feature_views import FeatureView, build_feature_view, feature_views
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError, DataError
from faceflow.faces.features import BLENDSHAPES, FaceFeatures, mirrored
from tests.helpers.faces import read_tables_of, write_csv_dataset
from tests.helpers.features import Vectors, give_features, random_vectors

AUS = ("AU12_L", "AU12_R")
STILL = {"landmarks": 0.0, "stretch": 0.0, "pose": 0.0, "blendshapes": 0.0, "dropout": 0.0}


def view(**changes: float) -> FeatureView:
    return FeatureView(**(STILL | changes))


def shown(**changes: float) -> list[FaceFeatures]:
    """What a view makes of one face with many seeds."""
    return [FaceFeatures.from_vector(view(**changes)(random_vectors(1)[0], seed)) for seed in range(200)]


FACE = FaceFeatures.from_vector(random_vectors(1)[0])


class TestViews:
    def test_a_view_without_deviations_leaves_a_face_as_it_is(self) -> None:
        np.testing.assert_allclose(view()(random_vectors(1)[0], 3), random_vectors(1)[0], rtol=1e-5)

    def test_the_result_depends_on_the_seed_alone(self) -> None:
        strong, vector = view(landmarks=0.1, pose=5.0, blendshapes=1.0, dropout=0.5), random_vectors(1)[0]
        np.testing.assert_array_equal(strong(vector, 1), strong(vector, 1))
        assert not np.array_equal(strong(vector, 1), strong(vector, 2), equal_nan=True)

    def test_landmarks_err_by_a_share_of_the_face(self) -> None:
        spread = np.sqrt(np.square(FACE.landmarks - FACE.landmarks.mean(axis=0)).sum(axis=1).mean())
        errors = np.stack([face.landmarks - FACE.landmarks for face in shown(landmarks=0.01)[:20]])
        assert errors.std() == pytest.approx(0.01 * spread, rel=0.02)

    def test_a_face_is_stretched_around_its_middle(self) -> None:
        widths = [np.ptp(face.landmarks[:, 0]) / np.ptp(FACE.landmarks[:, 0]) for face in shown(stretch=0.1)]
        assert np.log(widths).std() == pytest.approx(0.1, rel=0.2)
        middles = [face.landmarks.mean(axis=0) for face in shown(stretch=0.1)]
        np.testing.assert_allclose(middles, np.tile(FACE.landmarks.mean(axis=0), (200, 1)), rtol=1e-4)

    def test_pose_errs_in_degrees_and_blendshapes_in_log_odds(self) -> None:
        poses = np.stack([face.pose - FACE.pose for face in shown(pose=3.0)])
        assert poses.std() == pytest.approx(3.0, rel=0.1)
        odds = [np.log(face.blendshapes / (1 - face.blendshapes)) for face in shown(blendshapes=0.5)[:50]]
        before = np.log(FACE.blendshapes / (1 - FACE.blendshapes))
        assert (np.stack(odds) - before).std() == pytest.approx(0.5, rel=0.05)

    def test_some_blendshapes_are_not_known(self) -> None:
        faces = shown(dropout=0.25)
        assert np.mean([np.isnan(face.blendshapes).mean() for face in faces]) == pytest.approx(0.25, abs=0.02)
        assert all(np.isfinite(face.landmarks).all() for face in faces)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (STILL | {"pose": -1.0}, "^feature_views.weak.pose: expected a deviation >= 0, got -1.0"),
            (STILL | {"dropout": 1.0}, r"^feature_views.weak.dropout: expected a probability in \[0, 1\)"),
            (STILL | {"turn": 1.0}, "^feature_views.weak: expected .*, got 'turn'"),
            ({"pose": 1.0}, "^feature_views.weak: expected .*, got none for landmarks"),
        ],
    )
    def test_invalid_values_are_named_by_their_key(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            build_feature_view(values, key="feature_views.weak")

    def test_a_pipeline_without_a_view_leaves_features_as_they_are(self) -> None:
        assert list(feature_views({"weak": STILL, "strong": STILL}, {"weak": 0, "eval": 0})) == ["weak"]


@pytest.fixture
def vectors() -> Vectors:
    return random_vectors(6)


@pytest.fixture
def table(tmp_path: Path, vectors: Vectors) -> FaceTable:
    """Three subjects, two crops each, with features."""
    folder = write_csv_dataset(tmp_path / "d", aus=AUS, subjects=3, frames=2)
    (folder / "images").rename(folder / "crops")
    (table,) = read_tables_of("d", labels=folder / "labels.csv", images=folder / "crops")
    give_features(folder, [Path(str(file)) for file in table.files], vectors)
    return table


class _Unread(Pipeline):
    """Images that must not be opened."""

    def __init__(self) -> None:
        pass

    def __call__(self, *_: object) -> Any:
        raise AssertionError("read a picture")


def dataset(table: FaceTable, *, flip: float = 0.0, **views: FeatureView) -> FaceDataset:
    reads = Reads(inputs=("features",), feature_views=views)
    pipelines = dict.fromkeys(("weak", "strong"), _Unread())
    return FaceDataset([table], aus=AUS, points=(), views=pipelines, flip=flip, numbers={}, reads=reads)


class TestItems:
    def test_a_model_of_features_reads_no_picture(self, table: FaceTable, vectors: Vectors) -> None:
        item = dataset(table)[3, 0]
        assert set(item) == {"weak/features", "strong/features", "target", "mask", "index"}
        np.testing.assert_allclose(item["weak/features"].numpy(), vectors[3], atol=0.02)

    def test_flips_mirror_features_and_labels_together(self, table: FaceTable) -> None:
        plain, flipped = dataset(table)[1, 0], dataset(table, flip=1.0)[1, 0]
        np.testing.assert_array_equal(flipped["weak/features"], mirrored(plain["weak/features"].numpy()))
        assert flipped["target"].tolist() == plain["target"].tolist()[::-1]
        smile = 3 * 478 + BLENDSHAPES.index("mouthSmileLeft")
        assert flipped["weak/features"][smile] == plain["weak/features"][smile + 1]

    def test_views_differ_and_repeat_with_their_seed(self, table: FaceTable) -> None:
        rows = dataset(table, weak=view(pose=1.0), strong=view(pose=1.0))
        item = rows[2, 7]
        assert not np.array_equal(item["weak/features"], item["strong/features"])
        np.testing.assert_array_equal(rows[2, 7]["strong/features"], item["strong/features"])

    def test_crops_without_features_are_one_line(self, table: FaceTable) -> None:
        files = [str(file).replace("crops", "elsewhere") for file in table.files]
        moved = dataclasses.replace(table, files=np.asarray(files))
        with pytest.raises(DataError, match="^d: expected features of every face, got none for .*; crop the"):
            dataset(moved)
