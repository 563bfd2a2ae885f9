"""Models that read features of faces through the commands: training, test, export, and what is said where none are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.features import give_features, random_vectors
from tests.integration.command import SMALL, Faces, evaluate, make_faces, run, train

GOLDEN = Path(__file__).with_name("golden_losses.json")
FEATURES = ("model=features", "model.backbone=null", "model.hidden=8", "model.components=6")
FUSED = ("model=fused", "model.backbone=test_resnet", "model.head_lr_mult=1.0", "model.hidden=8", "model.components=6")


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Faces with features beside them, as faceflow-crop leaves them; a smile widens with AU12."""
    faces = make_faces(tmp_path_factory.mktemp("features") / "faces")
    (faces.folder / "images").rename(faces.folder / "crops")
    table = faces.read()
    vectors = random_vectors(len(table))
    vectors[:, 3 * 478 + 44] = 0.02 + 0.19 * table["AU12"].astype(float)  # mouthSmileLeft
    give_features(faces.folder, [faces.folder / "crops" / name for name in table["filename"]], vectors)
    return faces


def overrides(crops: Faces) -> tuple[str, str]:
    return "data=csv", f"data.labels={crops.csv}"


@pytest.mark.parametrize("kind", ["features", pytest.param("fused", marks=pytest.mark.slow)])
def test_training_losses_are_those_on_record(kind: str, crops: Faces, tmp_path: Path) -> None:
    model = {"features": FEATURES, "fused": FUSED}[kind]
    settings = ("trainer.max_epochs=2", "optimizer.lr=0.01", "model.dropout=0.2", "test=false")
    found = train(tmp_path, *overrides(crops), *model, *settings).table("metrics.csv")["train/loss"].tolist()
    recorded = json.loads(GOLDEN.read_text("utf-8"))[f"{kind}: train/loss"]
    assert found == pytest.approx(recorded, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("model", [FEATURES, FUSED], ids=["features", "fused"])
@pytest.mark.parametrize("method", ["fixmatch", "defixmatch"])
def test_a_model_goes_from_training_through_its_export_to_the_same_scores(
    model: tuple[str, ...], method: str, crops: Faces, tmp_path: Path
) -> None:
    hidden = (f"method={method}", "split.labeled=0.5", "average=ema", "loader.mu=1")
    trained = train(tmp_path / "run", *overrides(crops), *model, *hidden)
    path = tmp_path / "m.onnx"
    exported = run("export", tmp_path / "export", f"checkpoint={trained.checkpoint()}", f"output={path}")
    assert exported.code == 0, exported.stderr
    data = (*overrides(crops), "bootstrap.resamples=0")
    torch, onnx = (
        evaluate(trained, tmp_path / name, *data, *more).metrics()["test"]["faces"]["summary"]
        for name, more in (("torch", ()), ("onnx", (f"onnx={path}",)))
    )
    assert onnx == pytest.approx(torch, abs=1e-6, nan_ok=True)


@pytest.mark.slow
def test_a_model_of_features_opens_no_picture_while_it_trains(crops: Faces, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceflow.data.dataset.read_image", lambda path: pytest.fail(f"read {path}"))
        train(tmp_path, *overrides(crops), *FEATURES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("callbacks=linear_probe",), "callbacks.linear_probe: expected a model with a backbone"),
        (("model.features=[mouth]",), "model.features: expected some of blendshapes, landmarks, got ('mouth',)"),
        (("model.features=[]",), "model: expected a backbone, features or both, got neither"),
        (("feature_views.labeled.pose=-1",), "feature_views.labeled.pose: expected a deviation >= 0, got -1"),
        (("model.alone=2",), "model.alone: expected a share in [0, 1], got 2"),
    ],
)
def test_mistakes_are_one_line(settings: tuple[str, ...], message: str, crops: Faces, tmp_path: Path) -> None:
    outcome = run("train", tmp_path, *SMALL, *overrides(crops), *FEATURES, *settings)
    assert outcome.code == 2
    assert f"Error: {message}" in outcome.error


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("method=fixmatch_miro", "method.miro: expected a model with a pretrained backbone"),
        ("average=wise_ft", "average: expected a model with a backbone"),
    ],
)
def test_what_needs_a_backbone_is_refused_before_data_are_read(setting: str, message: str, tmp_path: Path) -> None:
    outcome = run("train", tmp_path, *SMALL, *FEATURES, "data=csv", "data.labels=none.csv", setting)
    assert outcome.code == 2
    assert f"Error: {message}" in outcome.error
    assert not outcome.stdout


def test_faces_without_features_are_one_line_before_anything_is_trained(faces: Faces, tmp_path: Path) -> None:
    outcome = run("train", tmp_path / "run", *SMALL, *faces.overrides, *FEATURES)
    assert outcome.code == 2
    assert "faces: expected features of every face, got none for" in outcome.error
    assert "faceflow-render) with: faceflow-crop detector=mediapipe_landmarks" in outcome.error
    assert not outcome.checkpoint().exists()
