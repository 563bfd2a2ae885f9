"""A network is exported: compared, converted, measured, and only then moved to its final name."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from faceflow.data.loading import Loading
from faceflow.data.transforms import build_pipeline
from faceflow.errors import ExportError
from faceflow.exporting.conversion import Measuring, convert
from faceflow.exporting.export_faces import ExportFaces
from faceflow.exporting.export_settings import ExportSettings
from faceflow.exporting.parity import random_faces
from faceflow.inference.onnx_model import OnnxModel
from tests.helpers.faces import read_folder, write_csv_dataset
from tests.unit.exporting.test_graph import NETWORKS, SIZE, contract, network

STEP = {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE, "interpolation": 3, "p": 1.0}
LOWER = ExportSettings(precision="fp16", max_drop=1.0, max_drop_au=1.0, calibration=4, simplify=True)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ExportFaces:
    folder = write_csv_dataset(tmp_path_factory.mktemp("faces") / "own", aus=("AU1", "AU12"), subjects=3, frames=4)
    tables = [read_folder(folder)]
    return ExportFaces(unseen=tables, calibration=tables, note="careful")


def measuring() -> Measuring:
    return Measuring(
        pipeline=build_pipeline({"resize": STEP}, key="transforms.eval"),
        loading=Loading(batch_size=4, workers=0, timeout_s=0),
        thresholds={"AU1": 0.5, "AU12": 0.5},
    )


RANDOM = {"random": random_faces(NETWORKS[1].spec)}


@pytest.mark.slow
def test_a_lower_precision_is_measured_and_the_file_says_what_it_costs(faces: ExportFaces, tmp_path: Path) -> None:
    path, net = tmp_path / "new/model.onnx", NETWORKS[1]
    says = dataclasses.replace(contract(net.spec), precision="fp16")
    done = convert(net, says, path, LOWER, samples=RANDOM, faces=faces, measuring=measuring())
    assert done.difference < 1e-5
    assert done.reduced_difference is not None
    assert done.difference < done.reduced_difference < 0.01
    assert done.cost is not None
    assert done.contract.protocol["precision"] == f"metrics are of fp32; fp16: {done.cost}; careful"
    assert "on own (12 images)" in str(done.cost)
    assert OnnxModel(path, provider="cpu").contract == done.contract
    assert [path] == list(path.parent.iterdir())


@pytest.mark.slow
def test_unmeasured_precision_cost_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    says = dataclasses.replace(contract(NETWORKS[1].spec), precision="fp16")
    with caplog.at_level(logging.WARNING):
        done = convert(
            NETWORKS[1], says, tmp_path / "m.onnx", LOWER, samples=RANDOM, faces=None,
            measuring=measuring(),
        )  # fmt: skip
    assert done.cost is None
    assert "precision=fp16: its cost was not measured; add data=csv" in caplog.messages[0]


@pytest.mark.slow
def test_a_network_without_finite_outputs_leaves_the_earlier_file(tmp_path: Path) -> None:
    diverged = network(1)
    diverged.head.linear.weight.data[:] = np.nan
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(ExportError, match="precision: expected finite outputs"):
        convert(
            diverged, contract(diverged.spec), path, dataclasses.replace(LOWER, precision="fp32"),
            samples=RANDOM, faces=None, measuring=measuring(),
        )  # fmt: skip
    assert path.read_text() == "mine"
    assert [path] == list(tmp_path.iterdir())
