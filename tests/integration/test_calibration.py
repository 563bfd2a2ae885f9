"""Calibrated probabilities in all commands: training, test, export, and test of the exported model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceflow.calibration import PROTOCOL
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.checkpoint import load_network
from tests.integration.command import SMALL, evaluate, make_faces, run, train

_QUIET = ("accelerator=cpu", "loader.workers=0", "pictures=false")


@pytest.mark.slow
def test_calibration_goes_with_the_network_and_changes_no_decision(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces", frames=8)
    plain = train(tmp_path / "plain", *faces.overrides)
    trained = train(tmp_path / "platt", *faces.overrides, "probability_calibration=platt", "conformal_coverage=0.8")
    decisions = [
        each.table("per_au.csv").filter(like="_val").drop(columns="threshold_val") for each in (plain, trained)
    ]
    pd.testing.assert_frame_equal(*decisions)
    calibration = load_network(trained.checkpoint(), key="")[1].calibration
    assert calibration is not None
    assert calibration.chosen
    assert f"{PROTOCOL}: platt, fitted on 3 validation subjects" in " ".join(trained.stdout.split())
    assert "Calibration: " in trained.stdout
    assert PROTOCOL in trained.metrics()
    assert not (plain.folder / "calibration.csv").exists()

    again = evaluate(trained, tmp_path / "again", *faces.overrides)
    pd.testing.assert_frame_equal(again.table("calibration.csv"), trained.table("calibration.csv"))

    model = tmp_path / "model.onnx"
    where = (f"checkpoint={trained.checkpoint()}", f"output={model}", "loader.workers=0")
    written = run("export", tmp_path / "export", *where, f"card={tmp_path / 'card.md'}")
    assert written.code == 0, written.stderr
    card, names = (tmp_path / "card.md").read_text("utf-8"), {"calibration.csv": 5, "unsure.csv": 7}
    for name, count in names.items():
        means = trained.table(name).drop(columns=["dataset", "au"]).iloc[:, 1 : 1 + count].mean()
        assert f"| {' | '.join(f'{mean:.3f}' for mean in means)} |" in card
    assert "calibration" in written.stdout
    band = OnnxModel(model).contract.conformal
    assert band == load_network(trained.checkpoint(), key="")[1].conformal
    assert band is not None
    assert f"promised: {band.protocol}" in " ".join(trained.stdout.split())
    file = evaluate(trained, tmp_path / "file", *faces.overrides, f"onnx={model}")
    ours, theirs = (each.table("predictions.csv").filter(like="_prob") for each in (again, file))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    errors = [each.table("calibration.csv").filter(like="brier") for each in (again, file)]
    np.testing.assert_allclose(*errors, atol=1e-4)
    assert "Unsure decisions: " in file.stdout
    held, threshold = (each.table(name) for each, name in ((file, "unsure.csv"), (file, "per_au.csv")))
    for _, row in held.dropna(subset="unsure").iterrows():
        au, cut = row["au"], float(threshold.set_index("au").loc[row["au"], "threshold_val"])
        p = file.table("predictions.csv")[f"{au}_prob"]
        assert row["unsure"] == pytest.approx(np.mean(band.unsure(p, cut, au)), abs=0.02)

    mixed = (*_QUIET, *faces.overrides, f"checkpoint={plain.checkpoint()}", f"onnx={model}")
    assert "another calibration of probabilities" in run("test", tmp_path / "mixed", *mixed).error


def test_a_coverage_that_is_no_share_is_named(tmp_path: Path) -> None:
    outcome = run("train", tmp_path, *SMALL, "conformal_coverage=90")
    assert outcome.code == 2
    assert "conformal_coverage: expected null or a share such as 0.9, got 90" in outcome.error


def test_an_unknown_calibration_is_named(tmp_path: Path) -> None:
    outcome = run("train", tmp_path, *SMALL, "probability_calibration=plat")
    assert outcome.code == 2
    assert "probability_calibration: expected" in outcome.error
    assert "got 'plat'" in outcome.error
