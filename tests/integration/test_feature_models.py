"""Models that read face features in all commands: training, test, export, and messages if there are no features."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from faceflow.built_in.models import built_in_model
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.checkpoint import load_network
from tests.helpers.features import give_features, random_vectors
from tests.integration.command import SMALL, Faces, evaluate, make_faces, run, train

GOLDEN = Path(__file__).with_name("golden_losses.json")
FEATURES = ("model=features", "model.backbone=null", "model.hidden=8", "model.components=6")
FUSED = ("model=fused", "model.backbone=test_resnet", "model.head_lr_mult=1.0", "model.hidden=8", "model.components=6")


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Faces with features, as faceflow-crop writes them; a smile widens with AU12."""
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
@pytest.mark.parametrize(
    "model", [pytest.param(FEATURES, marks=pytest.mark.release, id="features"), pytest.param(FUSED, id="fused")]
)
@pytest.mark.parametrize("method", ["fixmatch", pytest.param("defixmatch", marks=pytest.mark.release)])
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
def test_settings_that_need_a_backbone_are_refused_before_data_are_read(
    setting: str, message: str, tmp_path: Path
) -> None:
    outcome = run("train", tmp_path, *SMALL, *FEATURES, "data=csv", "data.labels=none.csv", setting)
    assert outcome.code == 2
    assert f"Error: {message}" in outcome.error
    assert not outcome.stdout


def test_faces_without_features_are_one_line_before_anything_is_trained(faces: Faces, tmp_path: Path) -> None:
    outcome = run("train", tmp_path / "run", *SMALL, *faces.overrides, *FEATURES)
    assert outcome.code == 2
    assert "faces: expected features of every face, got none for" in outcome.error
    assert "faceflow-render too) with: faceflow-crop detector=mediapipe_landmarks" in outcome.error
    assert not outcome.checkpoint().exists()


@pytest.mark.slow
def test_the_built_in_model_is_tested_beside_a_training(crops: Faces, tmp_path: Path) -> None:
    settings = ("baseline=built_in", "test=true", "bootstrap.resamples=20")
    outcome = train(tmp_path, *overrides(crops), *FEATURES, *settings)
    metrics, contract = outcome.metrics(), OnnxModel(built_in_model(None), provider="cpu").contract
    shared = [au for au in metrics["test"]["faces"]["per_au"] if au in contract.aus]
    assert shared
    baseline = metrics["baseline"]
    assert (baseline["name"], Path(baseline["file"]).name) == ("built_in", "fused.onnx")
    assert {au: row["threshold_val"] for au, row in baseline["test"]["faces"]["per_au"].items()} == {
        au: contract.thresholds[au] for au in shared
    }
    assert metrics["protocol"]["baseline"].startswith(
        "built_in (the built-in model, trained on rendered faces alone), "
    )
    table = outcome.table("per_au.csv")
    assert table.loc[table["model"] == "built_in", "au"].tolist() == shared
    assert outcome.stdout.count(" built_in ") >= len(shared)


def test_a_baseline_without_features_is_refused_before_anything_is_trained(faces: Faces, tmp_path: Path) -> None:
    outcome = run("train", tmp_path / "run", *SMALL, *faces.overrides, "baseline=built_in")
    assert outcome.code == 2
    assert outcome.error.startswith("DataError: baseline: expected features of every face, got none for ")
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.slow
def test_an_exported_file_as_its_own_baseline_has_the_same_scores(crops: Faces, tmp_path: Path) -> None:
    trained = train(tmp_path / "run", *overrides(crops), *FEATURES, "test=false")
    path = tmp_path / "m.onnx"
    assert run("export", tmp_path / "export", f"checkpoint={trained.checkpoint()}", f"output={path}").code == 0
    metrics = evaluate(trained, tmp_path / "test", *overrides(crops), f"baseline={path}").metrics()
    tested, baseline = metrics["test"]["faces"], metrics["baseline"]["test"]["faces"]
    assert baseline["summary"] == pytest.approx(tested["summary"], abs=1e-6, nan_ok=True)
    assert baseline["per_au"].keys() == tested["per_au"].keys()


@pytest.fixture(scope="module")
def kept(crops: Faces, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and a model exported from it with half-precision weights."""
    folder = tmp_path_factory.mktemp("kept")
    checkpoint = train(folder / "run", *overrides(crops), *FUSED, "levels=5", "test=false").checkpoint()
    path = folder / "m.onnx"
    settings = (f"checkpoint={checkpoint}", f"output={path}", "precision=fp16_stored")
    assert run("export", folder / "export", *settings).code == 0
    return checkpoint, path


@pytest.mark.slow
def test_training_continues_from_an_exported_file_and_says_whether_it_helped(
    kept: tuple[Path, Path], crops: Faces, tmp_path: Path
) -> None:
    checkpoint, path = kept
    still = ("optimizer.lr=1e-12", "compare_start=true", "bootstrap.resamples=20")
    went_on = train(tmp_path, *overrides(crops), f"init_weights={path}", "model=start", *still)
    (started, payload), (given, _) = (load_network(each, key="") for each in (went_on.checkpoint(), checkpoint))
    assert started.spec == given.spec
    for ours, theirs in zip(started.parameters(), given.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
    assert payload.protocol["start"].startswith("m.onnx; its training subjects are not known")
    ((faces, found),) = went_on.metrics()["start"].items()
    assert (faces, found["aus"]) == ("test subjects of faces", list(given.spec.aus))
    assert found["icc"]["before"] == pytest.approx(found["icc"]["after"], abs=5e-3)  # statistics of batches
    assert f"test subjects of faces: ICC {found['icc']['before']:.3f} -> " in went_on.stdout


@pytest.mark.slow
def test_estimates_of_crops_are_labels_that_every_report_marks(
    kept: tuple[Path, Path], crops: Faces, tmp_path: Path
) -> None:
    path, labels = kept[1], crops.folder / "machine.csv"
    settings = (f"onnx={path}", f"source={crops.folder / 'crops'}", "crops=true", "labels_margin=0")
    done = run("infer", tmp_path, *settings, f"output={tmp_path / 'aus.csv'}", f"labels={labels}")
    assert done.code == 0, done.stderr
    frame = pd.read_csv(labels)
    assert sorted(frame["filename"]) == sorted(crops.read()["filename"])
    assert set(frame["subject"]) == set(crops.read()["subject"])
    (who,) = set(frame["labelled_by"])
    report = train(tmp_path / "run", "data=csv", f"data.labels={labels}", *FUSED, "report_only=true").stdout
    assert f"machine: labels by a model: {who}" in report

    whole = ("crops=false", f"output={tmp_path / 'b.csv'}", f"labels={tmp_path / 'c.csv'}")
    outcome = run("infer", tmp_path, *settings, *whole)
    assert outcome.error.startswith("ConfigError: labels: expected crops=true")
