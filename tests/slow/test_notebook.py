"""The notebook of docs/ runs in a real kernel, and shows the numbers that are on disk."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from faceflow.inference.onnx_model import OnnxModel

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/train.ipynb"

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter_client
def test_the_notebook_trains_tests_exports_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "stored without outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output["data"]["text/plain"] for output in outputs if output.output_type == "execute_result"]
    assert len(shown) == 4
    for name, text in zip(("run", "test"), shown, strict=False):
        test = json.loads((tmp_path / name / "metrics.json").read_text("utf-8"))["test"]["synthetic"]
        assert f"{test['summary']['f1_val']:.6f}" in text
        assert all(
            f"{scores['auroc']:.6f}" in text for scores in test["per_au"].values() if scores["auroc"] is not None
        )
    assert "faces cut by" in shown[2]
    assert OnnxModel(tmp_path / "model.onnx", provider="cpu").contract.aus == ("AU1", "AU6", "AU12")
    count = len(pd.read_csv(tmp_path / "faces/labels.csv"))
    assert f"count  {count}" in shown[3]
    errors = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert not [text for text in errors if "Traceback" in text]
