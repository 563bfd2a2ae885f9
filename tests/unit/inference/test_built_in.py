"""Without `onnx=` the built-in model runs and is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import faceflow
from faceflow.built_in.models import CARD, MODELS, built_in_model
from faceflow.errors import ConfigError
from tests.helpers.exported import write_model
from tests.helpers.markers import MARKERS, face_at, moving_faces, write_video
from tests.integration.command import run

WITH_FEATURES = (*MARKERS, "+detector.features=true", "same_detector=false")


@pytest.mark.parametrize("name", MODELS)
def test_it_gives_what_its_file_gives_and_says_that_it_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = face_at(40, 40)
    with faceflow.load(built_in_model(name), *WITH_FEATURES) as named:
        expected = named.predict(image)
    assert capsys.readouterr().err == ""
    with faceflow.load(None, *WITH_FEATURES, model=name) as predictor:
        rows = predictor.predict(image)
    pd.testing.assert_frame_equal(rows, expected)
    assert capsys.readouterr().err == (
        f"Running the built-in model '{name}' on cpu; it was trained on rendered faces alone, see {CARD}\n"
    )


def test_a_file_and_a_built_in_model_are_one_too_many(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="^onnx: expected a file or the built-in model=fast, got both; leave one"):
        faceflow.load(path, model="fast")


def test_the_command_needs_no_file_and_the_table_says_what_made_it(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", moving_faces(3))
    places = (f"source={tmp_path}/video.avi", f"output={tmp_path}/a.csv")
    outcome = run("infer", tmp_path, *places, "model=fast", *WITH_FEATURES)
    assert outcome.code == 0, outcome.stderr
    assert (
        "INFO Running the built-in model 'fast' on cpu; it was trained on rendered faces alone, see " in outcome.stderr
    )
    says = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert (says["model"]["file"], says["model"]["built_in"]) == ("fast.onnx", "fast")
    assert says["settings"]["model"] == {"name": "fast"}
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["status"].tolist() == ["ok"] * 3
    assert np.isfinite(rows[[name for name in rows if name.endswith("_prob")]].to_numpy()).all()
