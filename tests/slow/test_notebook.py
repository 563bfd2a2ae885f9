"""The notebooks in docs/ run in a real kernel and show the numbers on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from faceflow.inference.onnx_model import OnnxModel

NOTEBOOKS = Path(__file__).parents[2] / "docs/notebooks"

MODELS = Path(os.environ.get("FACEFLOW_MODELS", Path(__file__).parents[3] / "shared/models"))

pytestmark = pytest.mark.slow


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """Execute a notebook in a folder; a cell that fails raises."""
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "stored without outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def results(notebook: nbformat.NotebookNode) -> list[str]:
    """Output of the last lines of cells."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output["data"]["text/plain"] for output in outputs if output.output_type == "execute_result"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter_client
def test_the_notebook_trains_tests_exports_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = run("train.ipynb", tmp_path, monkeypatch)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = results(notebook)
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not (MODELS / "face_landmarker.task").is_file(), reason="needs face_landmarker.task")
def test_the_notebook_estimates_a_smile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEFLOW_MODELS", str(MODELS))
    shown = results(run("estimate.ipynb", tmp_path, monkeypatch))
    assert "AU12_prob" in shown[0]
    assert "AU01" in shown[-1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_compares_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = results(run("compare.ipynb", tmp_path, monkeypatch))
    table = pd.read_csv(tmp_path / "comparison/comparison.csv").query("metric == 'f1_val'")
    assert table["au"].tolist() == ["AU1", "AU6", "AU12", "mean"]
    assert all(f"{score:.6f}" in shown[-1] for score in table["score"].dropna())
    assert "tie" in shown[-1]
