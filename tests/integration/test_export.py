"""faceflow-export, and faceflow-test on its output: the same numbers as torch, and a complete file or none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard

from faceflow.images import read_image
from faceflow.inference.onnx_model import OnnxModel, fit
from faceflow.models.checkpoint import load_network
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from tests.integration.command import AUS, Faces, Outcome, evaluate, make_faces, run, train

RECIPE = {"align": {"preset": "eyes", "size": 224}, "detector": {"name": "x"}, "selection": {"policy": "track"}}


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


class CroppedFaces(Faces):
    """A data set whose images are where faceflow-crop writes them."""

    @property
    def images(self) -> Path:
        return self.folder / "crops"


@pytest.fixture(scope="module")
def cropped(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Faces with their crop recipe."""
    faces = make_faces(tmp_path_factory.mktemp("data") / "faces")
    faces.images.rename(faces.folder / "crops")
    (faces.folder / "crops.json").write_text(json.dumps({"format": 1, **RECIPE}), "utf-8")
    return CroppedFaces(faces.folder)


@pytest.fixture(scope="module")
def ordinal(cropped: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run with five levels that validates the average of its weights."""
    folder = tmp_path_factory.mktemp("ordinal") / "run"
    return train(folder, *cropped.overrides, "levels=5", "average=ema", "average.decay=0.5", "optimizer.lr=0.01")


@pytest.fixture(scope="module")
def occurrence_export(trained: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return export(trained.checkpoint(), tmp_path_factory.mktemp("occurrence"))


@pytest.fixture(scope="module")
def occurrence_file(occurrence_export: Outcome) -> Path:
    return occurrence_export.folder / "model.onnx"


@pytest.fixture(scope="module")
def ordinal_file(ordinal: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(ordinal.checkpoint(), tmp_path_factory.mktemp("ordinal_file")).path


def test_file_says_what_the_checkpoint_and_its_run_said(
    trained: Outcome, occurrence_export: Outcome, occurrence_file: Path
) -> None:
    outcome = occurrence_export
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "7 random and 7 real faces" in outcome.stdout
    assert outcome.stdout.endswith(f"faceflow-infer onnx={occurrence_file} source=VIDEO output=aus.csv\n")
    assert [path.name for path in occurrence_file.parent.iterdir()] == ["model.onnx"]
    model, (_, payload) = OnnxModel(occurrence_file, provider="cpu"), load_network(trained.checkpoint(), key="")
    check_against_torch(model, trained.checkpoint())
    contract, record = model.contract, trained.metrics()
    assert contract.aus == AUS
    assert contract.thresholds == payload.thresholds
    assert contract.training_data == {"faces": record["run"]["data"]["train"]["faces"]["content"]}
    assert contract.metrics["f1_val"] == record["test"]["faces"]["summary"]["f1_val"]
    assert contract.protocol == record["protocol"]
    assert (contract.run["id"], contract.precision, contract.crop) == ("trained", "fp32", None)
    statistics, trained_on = contract.crop_statistics, record["run"]["data"]["train"]["faces"]
    assert statistics is not None
    assert statistics == payload.crop_statistics
    assert statistics.faces == trained_on["rows"]


@pytest.mark.slow
def test_the_card_has_the_scores_of_the_test_in_the_format_of_the_hub(trained: Outcome, tmp_path: Path) -> None:
    card, checkpoint = tmp_path / "README.md", trained.checkpoint()
    outcome = export(checkpoint, tmp_path / "out", f"card={card}")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.endswith(f"Card: {card}\n")
    found = {each.metric_name.split()[1]: each.metric_value for each in ModelCard.load(card).data.eval_results or ()}
    summary = trained.metrics()["test"]["faces"]["summary"]
    assert (found["F1@val"], found["AUROC"]) == (summary["f1_val"], summary["auroc"])


@pytest.mark.slow
def test_average_of_the_weights_is_what_is_exported(ordinal: Outcome, ordinal_file: Path) -> None:
    state = torch.load(ordinal.checkpoint(), weights_only=True)["state_dict"]
    name = "head.linear.weight"
    assert not torch.equal(state[f"network.{name}"], state[f"average.network.{name}"])
    check_against_torch(OnnxModel(ordinal_file, provider="cpu"), ordinal.checkpoint())


def same_metrics(by_onnx: Outcome, by_torch: Outcome, *names: str) -> None:
    for name in names:
        ours, theirs = (each.table(name).drop(columns="protocol", errors="ignore") for each in (by_onnx, by_torch))
        pd.testing.assert_frame_equal(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("levels", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_faceflow_test_gives_the_same_metrics_for_the_file_as_for_its_checkpoint(
    levels: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    names = ("trained", "occurrence_file", "faces") if levels == 1 else ("ordinal", "ordinal_file", "cropped")
    source, file, data = (request.getfixturevalue(name) for name in names)
    by_torch = evaluate(source, tmp_path / "torch", *data.overrides)
    by_onnx = evaluate(source, tmp_path / "onnx", *data.overrides, f"onnx={file}")
    assert by_onnx.metrics()["protocol"] == by_torch.metrics()["protocol"]
    same_metrics(by_onnx, by_torch, "per_au.csv", "predictions.csv")


@pytest.mark.slow
def test_without_a_checkpoint_everybody_is_tested_and_a_caution_says_so(
    trained: Outcome, occurrence_file: Path, faces: Faces, tmp_path: Path
) -> None:
    onnx = f"onnx={occurrence_file}"
    alone = run("test", tmp_path / "alone", onnx, *faces.overrides, "loader.workers=0", "accelerator=cpu")
    assert alone.code == 0
    assert "does not list its training subjects" in alone.stderr
    assert "may be included" in alone.metrics()["protocol"]["caution"]
    same_metrics(alone, evaluate(trained, tmp_path / "all", *faces.overrides, "subset=all"), "per_au.csv")


def test_faceflow_infer_gives_the_scores_of_the_checkpoint(
    trained: Outcome, occurrence_file: Path, faces: Faces, tmp_path: Path
) -> None:
    table = tmp_path / "a.csv"
    outcome = run(
        "infer", tmp_path, f"onnx={occurrence_file}", f"source={faces.images}", f"output={table}", "crops=true"
    )
    assert outcome.code == 0, outcome.stderr
    rows = pd.read_csv(table)
    network, payload = load_network(trained.checkpoint(), key="")
    images = np.stack([fit(read_image(file), network.spec.image_size) for file in rows["file"]])
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2)).logits[..., 0].sigmoid().numpy()
    assert len(rows) == 40
    np.testing.assert_allclose(rows[["AU01_prob", "AU06_prob", "AU12_prob"]].to_numpy(), expected, atol=1e-5)
    assert (rows["AU12"] == (rows["AU12_prob"] >= payload.thresholds["AU12"])).all()


@pytest.mark.slow
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
    same_metrics(by_onnx, by_torch, "per_au.csv")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8_static"])
def test_cost_of_a_lower_precision_is_measured_on_unseen_subjects(
    precision: str, ordinal: Outcome, cropped: Faces, tmp_path: Path
) -> None:
    outcome = export(
        ordinal.checkpoint(),
        tmp_path,
        f"precision={precision}",
        "max_drop=null",
        "max_drop_au=null",
        *cropped.overrides,
    )
    assert outcome.code == 0, outcome.stderr
    contract = OnnxModel(tmp_path / "model.onnx", provider="cpu").contract
    before, after = contract.protocol["precision"].split("icc ")[1].split(" (drop")[0].split(" -> ")
    onnx = f"onnx={tmp_path}/model.onnx"
    tested = [evaluate(ordinal, tmp_path / name, *cropped.overrides, *more) for name, *more in (["a"], ["b", onnx])]
    icc = [outcome.metrics()["test"]["faces"]["summary"]["icc"] for outcome in tested]
    assert [float(before), float(after)] == pytest.approx(icc, abs=1e-4)
    assert "on faces (8 images)" in contract.protocol["precision"]
    assert contract.precision == precision


@pytest.mark.slow
def test_without_any_faces_noise_is_compared_and_the_cost_is_unknown(
    ordinal: Outcome, cropped: Faces, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**RECIPE, "align": {"preset": "box"}}), "utf-8")
    cropped.folder.rename(tmp_path / "gone")
    try:
        outcome = export(ordinal.checkpoint(), tmp_path / "file", "precision=int8", f"crop={other}")
    finally:
        (tmp_path / "gone").rename(cropped.folder)
    assert outcome.code == 0, outcome.stderr
    shown = " ".join(outcome.stdout.split())
    assert "7 random faces; no training faces found" in shown
    assert "not measured" in shown
    assert "its cost was not measured" in outcome.stderr
    contract = OnnxModel(tmp_path / "file/model.onnx", provider="cpu").contract
    assert contract.crop == {**RECIPE, "align": {"preset": "box"}}


@pytest.mark.slow
def test_crop_recipe_goes_from_the_crops_through_training_into_the_file(ordinal_file: Path) -> None:
    assert OnnxModel(ordinal_file, provider="cpu").contract.crop == RECIPE


@pytest.mark.slow
def test_network_without_finite_outputs_leaves_no_file(trained: Outcome, tmp_path: Path) -> None:
    content = torch.load(trained.checkpoint(), weights_only=True)
    content["state_dict"]["average.network.head.linear.bias"][1] = torch.nan
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "nan.ckpt")
    outcome = export(tmp_path / "nan.ckpt", tmp_path / "file")
    assert (outcome.code, outcome.error.split(",")[0]) == (2, "ExportError: precision: expected finite outputs")
    assert list((tmp_path / "file").iterdir()) == []


@pytest.mark.slow
def test_cost_above_the_limit_leaves_the_earlier_file(ordinal: Outcome, cropped: Faces, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    # Labels on which single precision is perfect: those that it predicts itself, so that int8 can only lose.
    predicted = evaluate(ordinal, tmp_path / "test", *cropped.overrides).table("predictions.csv")
    columns = {au: (predicted[f"{au}_int"] * 1.0) for au in AUS}
    frame = pd.DataFrame(columns).assign(
        filename=predicted["filename"], subject=[f"p{n}" for n in range(len(predicted))]
    )
    csv = Faces(tmp_path).write(frame, "own.csv")
    outcome = export(
        ordinal.checkpoint(), tmp_path, "precision=int8", "max_drop=0", "overwrite=true",
        *("data=csv", f"data.labels={csv}", f"data.images={cropped.images}", "data.sources.csv.score_max=5"),
    )  # fmt: skip
    assert outcome.code == 2, outcome.stdout
    assert outcome.error.startswith(
        "ExportError: max_drop: expected int8 to cost at most 0 of the mean icc, got icc 1.0000"
    )
    assert (tmp_path / "model.onnx").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("checkpoint=no.ckpt",), "CheckpointError: checkpoint: expected a file, got "),
        (("checkpoint={cut}",), "CheckpointError: {cut}: expected a whole torch file, got a truncated or foreign one"),
        (("output=model.pt",), "ConfigError: output: expected the name of a .onnx file, got 'model.pt'"),
        (("output={old}",), "ConfigError: output: expected a new file, got one that exists: '{old}'; add overwrite="),
        (("output={cut}/x/model.onnx",), "ConfigError: output: expected a writable folder, got '{cut}'"),
        (
            ("precision=int4",),
            "ConfigError: precision: expected fp32, fp16, fp16_stored, int8_stored, int8, int8_static, got 'int4'",
        ),
        (("precision=int8_static",), "ConfigError: data: expected faces on which int8_static measures activations"),
        (("max_drop=2",), "ConfigError: max_drop: expected a share in 0..1, or null, got 2"),
        (("max_drop_au=-1",), "ConfigError: max_drop_au: expected a share in 0..1, or null, got -1"),
        (("calibration=0",), "ConfigError: calibration: expected a count of faces, got 0"),
        (("crop=no.json",), "DataError: crop: expected a crops.json of faceflow-crop, got 'no.json' (No such file"),
        (("card=card.txt",), "ConfigError: card: expected the name of a .md file, got 'card.txt'; write card=README"),
        (("card={notes}",), "ConfigError: card: expected a new file, got one that exists: '{notes}'; add overwrite="),
        (("precison=fp16",), "ConfigError: precison: expected "),
    ],
)
def test_a_mistake_is_named_in_one_line_and_leaves_nothing(
    overrides: tuple[str, ...], line: str, trained: Outcome, tmp_path: Path
) -> None:
    places = {"cut": tmp_path / "cut.ckpt", "old": tmp_path / "old.onnx", "notes": tmp_path / "notes.md"}
    places["notes"].write_text("mine")
    places["cut"].write_bytes(trained.checkpoint().read_bytes()[:10_000])
    places["old"].write_text("mine")
    outcome = export(trained.checkpoint(), tmp_path / "out", *(override.format(**places) for override in overrides))
    assert outcome.code == 2
    assert outcome.error.startswith(line.format(**places)), outcome.error
    assert list((tmp_path / "out").iterdir()) == []
    assert places["old"].read_text() == "mine"


def test_file_that_was_cut_is_refused_by_faceflow_test(occurrence_file: Path, faces: Faces, tmp_path: Path) -> None:
    whole = occurrence_file.read_bytes()
    for kept in (0, 5_000, -1):
        (tmp_path / "cut.onnx").write_bytes(whole[:kept])
        outcome = run("test", tmp_path / "run", f"onnx={tmp_path}/cut.onnx", *faces.overrides, "loader.workers=0")
        assert outcome.code == 2
        assert outcome.error.startswith("ExportError: onnx: expected an ONNX model that ONNX Runtime")


@pytest.mark.slow
def test_file_of_another_network_is_refused_beside_a_checkpoint(
    trained: Outcome, ordinal_file: Path, faces: Faces, tmp_path: Path
) -> None:
    where = (f"onnx={ordinal_file}", f"checkpoint={trained.checkpoint()}", "loader.workers=0")
    outcome = run("test", tmp_path / "run", *where, *faces.overrides)
    assert outcome.code == 2
    assert "got one with another levels (5 instead of 1)" in outcome.error
