"""faceflow-export and faceflow-test of what it wrote: the same numbers as torch, the file whole or not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from faceflow.artifacts.checkpoint import AtomicCheckpointIO, load_network
from faceflow.inference.session import OnnxModel
from tests.integration.command import AUS, Faces, Outcome, evaluate, make_faces, run, train


def export(checkpoint: Path, folder: Path, *overrides: str) -> Outcome:
    folder.mkdir(exist_ok=True)
    return run(
        "export", folder, f"checkpoint={checkpoint}", f"output={folder}/model.onnx", "loader.workers=0", *overrides
    )


def exported(checkpoint: Path, folder: Path, *overrides: str) -> OnnxModel:
    outcome = export(checkpoint, folder, *overrides)
    assert outcome.code == 0, outcome.stderr
    return OnnxModel(folder / "model.onnx", provider="cpu")


def check_against_torch(model: OnnxModel, checkpoint: Path) -> None:
    network, _ = load_network(checkpoint, key="")
    size = network.spec.image_size
    images = np.random.default_rng(3).integers(0, 256, (7, size, size, 3), np.uint8)
    for rows in (1, 2, 7):
        with torch.inference_mode():
            levels = network(torch.from_numpy(images[:rows]).permute(0, 3, 1, 2)).logits.sigmoid()
        low = levels.cummin(dim=-1).values.numpy()
        scores = model.run(images[:rows])
        np.testing.assert_allclose(scores.probability, low[..., 0 if network.spec.levels == 1 else 1], atol=1e-5)
        assert (scores.intensity is None) == (network.spec.levels == 1)
        if scores.intensity is not None:
            np.testing.assert_allclose(scores.intensity, low.sum(-1), atol=1e-5)


@pytest.fixture(scope="module")
def ordinal(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run with five levels that validates the average of its weights."""
    folder = tmp_path_factory.mktemp("ordinal") / "run"
    return train(folder, *faces.overrides, "levels=5", "average=ema", "average.decay=0.5", "optimizer.lr=0.01")


def test_file_says_what_the_checkpoint_and_its_run_said(trained: Outcome, tmp_path: Path) -> None:
    outcome = export(trained.checkpoint(), tmp_path)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "7 random and 7 real pictures" in outcome.stdout
    assert outcome.stdout.endswith(f"faceflow-infer onnx={tmp_path}/model.onnx source=VIDEO output=aus.csv\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    model, (_, payload) = OnnxModel(tmp_path / "model.onnx", provider="cpu"), load_network(trained.checkpoint(), key="")
    check_against_torch(model, trained.checkpoint())
    contract, record = model.contract, trained.metrics()
    assert contract.aus == AUS
    assert contract.thresholds == payload.thresholds
    assert contract.training_data == {"faces": record["run"]["data"]["train"]["faces"]["sha256"]}
    assert contract.metrics["f1_val"] == record["test"]["faces"]["summary"]["f1_val"]
    assert contract.protocol == record["protocol"]
    assert (contract.run["id"], contract.precision, contract.crop) == ("trained", "fp32", None)


def test_average_of_the_weights_is_what_is_exported(ordinal: Outcome, tmp_path: Path) -> None:
    state = torch.load(ordinal.checkpoint(), weights_only=True)["state_dict"]
    name = "head.linear.weight"
    assert not torch.equal(state[f"network.{name}"], state[f"average.network.{name}"])
    check_against_torch(exported(ordinal.checkpoint(), tmp_path), ordinal.checkpoint())


@pytest.mark.parametrize("levels", [1, 5])
def test_faceflow_test_gives_the_same_metrics_for_the_file_as_for_its_checkpoint(
    levels: int, trained: Outcome, ordinal: Outcome, faces: Faces, tmp_path: Path
) -> None:
    source = trained if levels == 1 else ordinal
    exported(source.checkpoint(), tmp_path)
    onnx = f"onnx={tmp_path}/model.onnx"
    by_torch = evaluate(source, tmp_path / "torch", *faces.overrides)
    by_onnx = evaluate(source, tmp_path / "onnx", *faces.overrides, onnx)
    assert by_onnx.metrics()["protocol"] == by_torch.metrics()["protocol"]
    pd.testing.assert_frame_equal(by_onnx.table("per_au.csv"), by_torch.table("per_au.csv"), atol=1e-4, rtol=0)
    pd.testing.assert_frame_equal(
        by_onnx.table("predictions.csv"), by_torch.table("predictions.csv"), atol=1e-4, rtol=0
    )
    alone = run("test", tmp_path / "alone", onnx, *faces.overrides, "loader.workers=0", "accelerator=cpu")
    assert alone.code == 0
    assert "does not say whom it was trained on" in alone.stderr
    assert "may be included" in alone.metrics()["protocol"]["caution"]
    everybody = evaluate(source, tmp_path / "all", *faces.overrides, "subset=all")
    pd.testing.assert_frame_equal(alone.table("per_au.csv"), everybody.table("per_au.csv"), atol=1e-4, rtol=0)


def test_joined_sides_of_an_intensity_network_are_scored_alike(tmp_path: Path) -> None:
    sided = make_faces(tmp_path / "faces", aus=("AU12_L", "AU6", "AU12_R"))
    outcome = train(tmp_path / "run", *sided.overrides, "levels=5")
    exported(outcome.checkpoint(), tmp_path / "file")
    labels = sided.read()
    strongest = labels[["AU12_L", "AU12_R"]].astype(int).max(axis=1)
    csv = sided.write(labels.drop(columns=["AU12_L", "AU12_R"]).assign(AU12=strongest), "joined.csv")
    data = ("data=csv", f"data.labels={csv}", f"data.images={sided.images}", "subset=all")
    by_torch = evaluate(outcome, tmp_path / "torch", *data)
    onnx = f"onnx={tmp_path}/file/model.onnx"
    by_onnx = run("test", tmp_path / "onnx", onnx, *data, "loader.workers=0", "accelerator=cpu")
    assert by_onnx.table("per_au.csv")["au"].tolist() == ["AU6", "AU12"]
    pd.testing.assert_frame_equal(by_onnx.table("per_au.csv"), by_torch.table("per_au.csv"), atol=1e-4, rtol=0)


@pytest.mark.parametrize("precision", ["fp16", "int8_static"])
def test_cost_of_a_lower_precision_is_measured_on_unseen_persons(
    precision: str, ordinal: Outcome, faces: Faces, tmp_path: Path
) -> None:
    outcome = export(ordinal.checkpoint(), tmp_path, f"precision={precision}", "max_drop=null", *faces.overrides)
    assert outcome.code == 0, outcome.stderr
    contract = OnnxModel(tmp_path / "model.onnx", provider="cpu").contract
    before, after = contract.protocol["precision"].split("icc ")[1].split(" (drop")[0].split(" -> ")
    onnx = f"onnx={tmp_path}/model.onnx"
    tested = [evaluate(ordinal, tmp_path / name, *faces.overrides, *more) for name, *more in (["a"], ["b", onnx])]
    icc = [outcome.metrics()["test"]["faces"]["summary"]["icc"] for outcome in tested]
    assert [float(before), float(after)] == pytest.approx(icc, abs=1e-4)
    assert "on faces (8 images)" in contract.protocol["precision"]
    assert contract.precision == precision


def test_lower_precision_without_data_says_that_its_cost_is_unknown(trained: Outcome, tmp_path: Path) -> None:
    outcome = export(trained.checkpoint(), tmp_path, "precision=int8")
    assert outcome.code == 0
    assert "what it costs was not measured" in outcome.stderr
    assert "not measured" in outcome.stdout


def test_file_is_compared_on_noise_alone_where_the_training_faces_are_gone(tmp_path: Path) -> None:
    outcome = train(tmp_path / "run", *make_faces(tmp_path / "faces").overrides)
    shutil.rmtree(tmp_path / "faces")
    shown = export(outcome.checkpoint(), tmp_path / "file").stdout
    assert "7 random pictures; no training faces found" in " ".join(shown.split())


def test_crop_recipe_goes_from_the_crops_through_training_into_the_file(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "disfa")
    recipe = {"align": {"preset": "eyes", "size": 224}, "detector": {"name": "x"}, "selection": {"policy": "track"}}
    (tmp_path / "disfa" / "images").rename(tmp_path / "disfa" / "crops")
    (tmp_path / "disfa" / "crops.json").write_text(json.dumps({"format": 1, **recipe}), "utf-8")
    outcome = train(tmp_path / "run", "data=csv", f"data.labels={faces.csv}", f"data.images={tmp_path}/disfa/crops")
    assert exported(outcome.checkpoint(), tmp_path / "kept").contract.crop == recipe
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**recipe, "align": {"preset": "box"}}), "utf-8")
    given = exported(outcome.checkpoint(), tmp_path / "given", f"crop={other}")
    assert given.contract.crop == {**recipe, "align": {"preset": "box"}}


def test_network_without_finite_outputs_leaves_no_file(trained: Outcome, tmp_path: Path) -> None:
    content = torch.load(trained.checkpoint(), weights_only=True)
    content["state_dict"]["network.head.linear.bias"][1] = torch.nan
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "nan.ckpt")
    outcome = export(tmp_path / "nan.ckpt", tmp_path / "file")
    assert (outcome.code, outcome.error.split(",")[0]) == (2, "ExportError: precision: expected finite outputs")
    assert list((tmp_path / "file").iterdir()) == []


def test_cost_above_the_limit_leaves_the_earlier_file(ordinal: Outcome, faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    # Labels on which single precision is perfect: those that it predicts itself, so that int8 can only lose.
    predicted = evaluate(ordinal, tmp_path / "test", *faces.overrides).table("predictions.csv")
    columns = {au: (predicted[f"{au}_int"] * 1.0) for au in AUS}
    frame = pd.DataFrame(columns).assign(
        filename=predicted["filename"], subject=[f"p{n}" for n in range(len(predicted))]
    )
    csv = Faces(tmp_path).write(frame, "own.csv")
    outcome = export(
        ordinal.checkpoint(), tmp_path, "precision=int8", "max_drop=0", "overwrite=true",
        *("data=csv", f"data.labels={csv}", f"data.images={faces.images}", "data.sources.csv.score_max=5"),
    )  # fmt: skip
    assert outcome.code == 2, outcome.stdout
    assert outcome.error.startswith("ExportError: max_drop: expected int8 to cost at most 0, got icc 1.0000 -> ")
    assert (tmp_path / "model.onnx").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("checkpoint=no.ckpt",), "CheckpointError: checkpoint: expected a file, got "),
        (("checkpoint={cut}",), "CheckpointError: {cut}: expected a whole torch file, got a truncated or foreign one"),
        (("output=model.pt",), "ConfigError: output: expected the name of a .onnx file, got 'model.pt'"),
        (("output={old}",), "ConfigError: output: expected a new file, got one that exists: '{old}'; add overwrite="),
        (("output={cut}/x/model.onnx",), "ConfigError: output: expected a folder that can be written, got '{cut}'"),
        (("precision=int4",), "ConfigError: precision: expected one of fp32, fp16, int8, int8_static, got 'int4'"),
        (("precision=int8_static",), "ConfigError: data: expected faces on which int8_static measures activations"),
        (("max_drop=2",), "ConfigError: max_drop: expected a share in 0..1, or null, got 2"),
        (("calibration=0",), "ConfigError: calibration: expected a count of faces, got 0"),
        (("crop=no.json",), "DataError: crop: expected a crops.json of faceflow-crop, got 'no.json' (No such file"),
        (("precison=fp16",), "ConfigError: precison: expected "),
    ],
)
def test_a_mistake_is_named_in_one_line_and_leaves_nothing(
    overrides: tuple[str, ...], line: str, trained: Outcome, tmp_path: Path
) -> None:
    places = {"cut": tmp_path / "cut.ckpt", "old": tmp_path / "old.onnx"}
    places["cut"].write_bytes(trained.checkpoint().read_bytes()[:10_000])
    places["old"].write_text("mine")
    outcome = export(trained.checkpoint(), tmp_path / "out", *(override.format(**places) for override in overrides))
    assert outcome.code == 2
    assert outcome.error.startswith(line.format(**places)), outcome.error
    assert list((tmp_path / "out").iterdir()) == []
    assert places["old"].read_text() == "mine"


@pytest.mark.parametrize("kept", [0, 100, 5_000, -1])
def test_file_that_was_cut_is_refused_by_faceflow_test(
    kept: int, trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    whole = exported(trained.checkpoint(), tmp_path / "whole").path.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:kept])
    outcome = run("test", tmp_path / "run", f"onnx={tmp_path}/cut.onnx", *faces.overrides, "loader.workers=0")
    assert outcome.code == 2
    assert outcome.error.startswith("ExportError: onnx: expected an ONNX model, got ")


def test_file_of_another_network_is_refused_beside_a_checkpoint(
    trained: Outcome, ordinal: Outcome, faces: Faces, tmp_path: Path
) -> None:
    exported(ordinal.checkpoint(), tmp_path)
    where = (f"onnx={tmp_path}/model.onnx", f"checkpoint={trained.checkpoint()}", "loader.workers=0")
    outcome = run("test", tmp_path / "run", *where, *faces.overrides)
    assert outcome.code == 2
    assert "got one with another levels (5 instead of 1)" in outcome.error
