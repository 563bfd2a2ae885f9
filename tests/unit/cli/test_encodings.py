"""Names that a terminal cannot show are escaped there and unchanged in files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import ROOT
from tests.helpers.exported import write_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_their_letters_shows_names_escaped(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "顔.png").write_bytes(cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes())
    model = write_model(tmp_path / "m.onnx")
    code = "from faceflow.cli.infer import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, f"onnx={model}", "source='顔.png'", "output='顔.csv'", "crops=true"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"Rows: \u9854.csv; what they mean: \u9854.json" in done.stdout
    assert pd.read_csv(tmp_path / "顔.csv")["file"].tolist() == ["顔.png"]
