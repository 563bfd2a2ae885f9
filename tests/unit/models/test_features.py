from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from faceflow.errors import CheckpointError, ConfigError
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, FaceFeatures, mirrored
from faceflow.models.features import FeatureBranch, FeatureSpec, frontal_landmarks, log_odds
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.rendering.subject import rotation
from tests.helpers.features import feature_spec, pixel_free, random_vectors
from tests.helpers.networks import network_spec, random_images


def face(points: np.ndarray[Any, Any], pose: tuple[float, float, float] = (0, 0, 0), **shapes: float) -> torch.Tensor:
    """Vector (1, F) of landmarks and named blendshapes; the others are 0.5."""
    values = np.full(len(BLENDSHAPES), 0.5)
    for name, value in shapes.items():
        values[BLENDSHAPES.index(name)] = value
    features = FaceFeatures(landmarks=points, blendshapes=values, pose=np.array(pose, np.float64))
    return torch.from_numpy(features.vector()[None])


def frontal(seed: int = 0) -> np.ndarray[Any, Any]:
    """Landmarks in front of the camera: x to the right, y down, z away from it."""
    return np.random.default_rng(seed).normal(0, 1, (LANDMARKS, 3)) * (60, 80, 30)


def turned(points: np.ndarray[Any, Any], yaw: float, pitch: float, roll: float) -> np.ndarray[Any, Any]:
    """Turn a head as the renderer does, whose y points up and whose z comes towards the camera."""
    flip = np.array([1, -1, -1])
    matrix = rotation(*np.radians((yaw, pitch, roll))).astype(np.float64)
    return np.asarray((points * flip) @ matrix.T * flip)


class TestNormalisation:
    def test_log_odds_are_those_of_the_blendshapes_within_what_can_be_told_from_0_and_1(self) -> None:
        found = log_odds(face(frontal(), jawOpen=0.8, mouthPucker=0.0, cheekPuff=1.0, noseSneerLeft=2e-6))[0]
        by_name = dict(zip(BLENDSHAPES, found.tolist(), strict=True))
        assert by_name["jawOpen"] == pytest.approx(math.log(4), abs=1e-5)
        assert by_name["mouthPucker"] == pytest.approx(math.log(1e-8), abs=1e-3)
        assert by_name["cheekPuff"] == pytest.approx(-math.log(1e-7), abs=0.2)  # as fine as single precision is
        assert by_name["noseSneerLeft"] == pytest.approx(math.log(2e-6), abs=1e-3)
        assert by_name["browInnerUp"] == 0

    def test_landmarks_lie_around_their_mean_in_units_of_their_spread(self) -> None:
        # Half of them at x = 10, half at x = 30: mean 20, spread 10.
        points = np.zeros((LANDMARKS, 3))
        points[:, 0] = np.where(np.arange(LANDMARKS) % 2, 10, 30)
        found = frontal_landmarks(face(points)).reshape(LANDMARKS, 3)
        assert found[:2].tolist() == [[1, 0, 0], [-1, 0, 0]]

    @pytest.mark.parametrize("angles", [(30, 0, 0), (0, 20, 0), (0, 0, 40), (-50, 25, -15)])
    def test_a_turned_scaled_and_shifted_face_gives_the_same_numbers(self, angles: tuple[float, float, float]) -> None:
        moved = turned(frontal(), *angles) * 2.5 + (700, 300, 40)
        found, expected = frontal_landmarks(face(moved, angles)), frontal_landmarks(face(frontal()))
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)

    def test_a_mirrored_face_gives_mirrored_numbers(self) -> None:
        vectors = random_vectors(2)
        plain = frontal_landmarks(torch.from_numpy(vectors)).reshape(2, LANDMARKS, 3)
        other = frontal_landmarks(torch.from_numpy(mirrored(vectors))).reshape(2, LANDMARKS, 3)
        # 33 and 263 are the outer corners of the eyes, 1 is the tip of the nose.
        torch.testing.assert_close(other[:, [33, 1]], plain[:, [263, 1]] * torch.tensor([-1, 1, 1]), atol=1e-5, rtol=0)

    def test_a_face_without_size_is_no_fault(self) -> None:
        assert frontal_landmarks(face(np.full((LANDMARKS, 3), 7.0))).isfinite().all()


class TestStandardisation:
    def test_every_number_has_mean_0_and_deviation_1_on_the_faces_it_was_fitted_to(self) -> None:
        vectors = torch.from_numpy(random_vectors(40))
        for part, width in (("blendshapes", 52), ("landmarks", 6)):
            branch = FeatureBranch(part, feature_spec(), aus=2, levels=1)
            branch.fit(vectors)
            found = branch.standardised(vectors)
            assert found.shape == (40, width)
            torch.testing.assert_close(found.mean(dim=0), torch.zeros(width), atol=1e-4, rtol=0)
            torch.testing.assert_close(found.square().mean(dim=0), torch.ones(width), atol=1e-3, rtol=0)

    @pytest.mark.slow
    def test_components_are_the_same_of_few_faces_and_of_many(self) -> None:
        # Ten faces, and each of them 150 times: as many faces as numbers.
        few, branch = torch.from_numpy(random_vectors(10)), FeatureBranch("landmarks", feature_spec(), aus=1, levels=1)
        branch.fit(few)
        basis = branch.basis.clone()
        branch.fit(few.repeat(150, 1))
        torch.testing.assert_close(branch.basis, basis, atol=1e-3, rtol=1e-3)

    def test_landmarks_are_read_along_what_varies_most(self) -> None:
        # The jaw alone drops, by chance: one component says it all, the second one nothing.
        amounts = np.linspace(-1, 1, 9)
        jaw = np.zeros((LANDMARKS, 3))
        jaw[152, 1] = 5
        vectors = torch.cat([face(frontal() + amount * jaw) for amount in amounts])
        branch = FeatureBranch("landmarks", feature_spec(components=2), aus=1, levels=1)
        branch.fit(vectors)
        first = branch.standardised(vectors)[:, 0].numpy()
        assert abs(np.corrcoef(first, amounts)[0, 1]) > 0.999

    def test_a_number_that_never_varies_or_is_not_known_says_nothing(self) -> None:
        vectors = torch.from_numpy(random_vectors(5))
        vectors[:, 3 * LANDMARKS] = 0.25
        branch = FeatureBranch("blendshapes", feature_spec(), aus=1, levels=1)
        branch.fit(vectors)
        assert branch.standardised(vectors)[:, 0].tolist() == [0] * 5
        vectors[2, 3 * LANDMARKS + 1] = torch.nan
        assert branch.standardised(vectors)[2, 1] == 0
        assert branch(vectors).isfinite().all()


class TestNetwork:
    def test_logits_are_the_weighted_mean_of_pixels_and_features(self) -> None:
        spec = network_spec(features=feature_spec(), fusion=0.4)
        network = AUNetwork(spec).eval()
        images, vectors = random_images(3), torch.from_numpy(random_vectors(3))
        pixels = AUNetwork(network_spec()).eval()
        pixels.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("branches")})
        shapes, points = (branch(vectors) for branch in network.branches.values())
        expected = 0.4 * pixels(images).logits + 0.3 * shapes + 0.3 * points
        torch.testing.assert_close(network(images, vectors).logits, expected)

    def test_a_network_of_features_needs_no_image_and_has_no_backbone(self) -> None:
        network = AUNetwork(network_spec(**pixel_free("landmarks")))
        assert network.spec.inputs == ("features",)
        assert network(features=torch.from_numpy(random_vectors(2))).logits.shape == (2, 2, 1)
        assert not any(key.startswith(("backbone", "head")) for key in network.state_dict())

    def test_alone_one_member_judges_a_face_while_training(self) -> None:
        network = AUNetwork(network_spec(**pixel_free()), alone=1.0)
        vectors = torch.from_numpy(random_vectors(64))
        members = torch.stack([branch.eval()(vectors) for branch in network.branches.values()])
        network.training = True  # without dropout, which eval() of the branches took away
        found = network(features=vectors).logits
        judged = (found == members).flatten(2).all(dim=2)
        assert judged.any(dim=0).all()
        assert judged.sum(dim=1).min() > 10  # either judges some
        assert torch.equal(network.eval()(features=vectors).logits, members.mean(dim=0))

    def test_the_prior_reaches_every_head(self) -> None:
        network = AUNetwork(network_spec(features=feature_spec()))
        network.set_prior(torch.tensor([[0.2], [0.5]]))
        assert list(network.heads) == ["images", "blendshapes", "landmarks"]
        for head in network.heads.values():
            torch.testing.assert_close(head.linear.bias, torch.tensor([math.log(0.25), 0.0]))

    def test_a_spec_comes_back_from_plain_containers(self) -> None:
        spec = network_spec(**pixel_free())
        assert NetworkSpec.from_dict(spec.to_dict()) == spec
        assert spec.name == "blendshapes + landmarks"

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"parts": ()}, "model.features: expected some of"),
            ({"parts": ("mouth",)}, "got \\('mouth',\\)"),
            ({"parts": ("landmarks", "landmarks")}, "model.features"),
            ({"parts": ("landmarks",), "hidden": 0}, "model.hidden"),
            ({"parts": ("landmarks",), "components": 2000}, "model.components"),
        ],
    )
    def test_invalid_layers_are_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            FeatureSpec(**({"hidden": 8, "components": 6} | values))

    def test_a_spec_that_reads_nothing_and_a_damaged_one_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="^model: expected a backbone, features or both, got neither"):
            network_spec(None)
        raw = network_spec(**pixel_free()).to_dict() | {"features": {"parts": ["landmarks"]}}
        with pytest.raises(CheckpointError, match="^network spec:"):
            NetworkSpec.from_dict(raw)
