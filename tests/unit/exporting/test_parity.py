from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faceflow.errors import ExportError
from faceflow.exporting.parity import TOLERANCE, check_finite, check_parity, largest_difference, random_faces
from faceflow.exporting.sample_faces import Sample
from faceflow.inference.onnx_model import OnnxModel
from faceflow.models.features import FeatureSpec
from faceflow.models.network import AUNetwork
from tests.helpers.networks import network_spec
from tests.unit.exporting.test_graph import NETWORKS, SIZE, network, written

PARTS = FeatureSpec(parts=("blendshapes", "landmarks"), hidden=8, components=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return OnnxModel(written(tmp_path_factory.mktemp("parity"), 1), provider="cpu")


def shifted(bias: float) -> AUNetwork:
    """The exported network with another bias of the second AU."""
    other = network(1)
    with torch.no_grad():
        other.head.linear.bias[1] += bias
    return other


def test_random_faces_are_always_the_same_and_what_the_network_takes() -> None:
    images, features = random_faces(network_spec(features=PARTS))
    assert images is not None
    assert features is not None
    assert images.shape == (7, 64, 64, 3)
    assert features.shape == (7, 1489)
    again = random_faces(network_spec(features=PARTS))
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.features, features)
    assert random_faces(network_spec()).features is None
    assert random_faces(network_spec(None, mean=(), std=(), features=PARTS)).images is None


def test_the_largest_difference_over_all_kinds_counts(model: OnnxModel) -> None:
    dark = Sample(np.zeros((2, SIZE, SIZE, 3), np.uint8))
    other, pictures = shifted(0.5), {"random": random_faces(NETWORKS[1].spec), "dark": dark}
    each = [largest_difference(other, model, faces) for faces in pictures.values()]
    assert check_finite(other, model, pictures) == max(each)
    assert each[0] != each[1]


def test_a_file_within_the_tolerance_passes_and_another_is_refused(model: OnnxModel) -> None:
    assert check_parity(NETWORKS[1], model, {"random": random_faces(NETWORKS[1].spec)}) < TOLERANCE
    with pytest.raises(ExportError, match="^output: expected outputs within 0.0001 of torch, got a difference of"):
        check_parity(shifted(0.1), model, {"random": random_faces(NETWORKS[1].spec)})


def test_outputs_that_are_no_numbers_are_refused(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^precision: expected finite outputs, got NaN or infinity from an fp32"):
        check_finite(shifted(float("nan")), model, {"random": random_faces(NETWORKS[1].spec)})
