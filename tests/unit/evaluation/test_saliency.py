"""Where a network looks: a network that looks at one corner, and real ones whose weights are randomised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import build_pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.predictors import Predictor, TorchPredictor
from faceflow.evaluation.saliency import check_saliency, measure_saliency
from faceflow.evaluation.testing import test_network
from faceflow.metrics.au_scores import Prediction
from faceflow.models.network import AUNetwork
from faceflow.report.saliency import SaliencyMap, colored, draw_saliency
from faceflow.views import FEATURES, IMAGES
from tests.helpers.faces import read_folder, write_image
from tests.helpers.networks import network_spec

SIZE = 32
PIPELINE = build_pipeline({"resize": {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE}}, key="x")
LOADING = Loading(batch_size=4, workers=0, timeout_s=0)


class Corner:
    """AU1 is how red the upper left quarter is, AU12 how blue the lower right one."""

    spec = network_spec(image_size=SIZE)

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        assert images is not None
        half = SIZE // 2
        red, blue = images[:, 0, :half, :half], images[:, 2, half:, half:]
        means = torch.stack([red.float().mean(dim=(1, 2)), blue.float().mean(dim=(1, 2))], dim=1)
        return Prediction(probability=(0.05 + 0.9 * means / 255).numpy().astype(np.float64), intensity=None)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    """Six faces: noise whose upper left quarter is red on the first three; AU1 is labelled on all but the third."""
    folder, rng = tmp_path_factory.mktemp("corners"), np.random.default_rng(0)
    (folder / "images").mkdir()
    lines = ["filename,subject,AU1,AU12"]
    for row in range(6):
        image = rng.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8)
        image[: SIZE // 2, : SIZE // 2, 0] = 230 - row if row < 3 else 20
        write_image(folder / "images" / f"{row}.png", image)
        lines.append(f"{row}.png,s{row},{5 * (row in (0, 1, 5))},{5 * (row == 0)}")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return read_folder(folder)


def maps_of(predictor: Predictor, faces: FaceTable, *, count: int = 1) -> list[SaliencyMap]:
    scores = test_network(
        predictor,
        {"AU1": 0.5, "AU12": 0.5},
        [faces],
        pipeline=PIPELINE,
        loading=LOADING,
        bootstrap=None,
        center=None,
    )
    return measure_saliency(predictor, scores, pipeline=PIPELINE, faces=count)


def test_the_surest_hit_false_alarm_and_miss_of_an_au_are_shown(faces: FaceTable) -> None:
    found = [(face.kind, Path(face.file).name) for face in maps_of(Corner(), faces, count=2) if face.au == "AU1"]
    assert found == [("hit", "0.png"), ("hit", "1.png"), ("false alarm", "2.png"), ("miss", "5.png")]


def test_a_network_that_looks_at_a_corner_is_seen_to(faces: FaceTable) -> None:
    face = maps_of(Corner(), faces)[0]
    half = SIZE // 2
    inside, outside = face.change[: half - 4, : half - 4], face.change[half + 4 :, half + 4 :]
    assert inside.min() > 0.05
    assert np.abs(outside).max() == 0
    assert face.image.shape == (SIZE, SIZE, 3)
    assert face.image[4, 4, 0] == 230


def test_hiding_a_patch_is_worked_out_by_hand(faces: FaceTable) -> None:
    """Patches are 8 pixels wide at steps of 4; the corner pixel lies in the first patch alone."""
    face = maps_of(Corner(), faces)[0]
    image = face.image.astype(np.float64)
    red = image[: SIZE // 2, : SIZE // 2, 0].copy()
    before = 0.05 + 0.9 * red.mean() / 255
    red[:8, :8] = round(image[..., 0].mean())
    after = 0.05 + 0.9 * red.mean() / 255
    expected = np.log(before / (1 - before)) - np.log(after / (1 - after))
    assert face.change[0, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_vit"])
def test_randomised_weights_change_the_map(backbone: str, faces: FaceTable) -> None:
    """The sanity check of Adebayo et al. 2018, arXiv:1810.03292, for backbones of pixels and of tokens."""
    torch.manual_seed(0)
    network = AUNetwork(network_spec(backbone, image_size=SIZE))
    for head in network.heads.values():
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1.0)
    predictor = TorchPredictor(network, accelerator="cpu")

    def change(file: str) -> dict[tuple[str, str], np.ndarray]:
        return {(face.au, face.file): face.change for face in maps_of(predictor, faces, count=3)}

    before, again = change("a"), change("b")
    assert before.keys() == again.keys()
    torch.manual_seed(1)
    for part in network.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    after = change("c")
    shared = before.keys() & after.keys()
    assert shared
    for key in shared:
        np.testing.assert_array_equal(before[key], again[key])
        assert abs(spearmanr(before[key].ravel(), after[key].ravel()).statistic) < 0.6


def test_colors_say_for_and_against() -> None:
    change = np.zeros((4, 4))
    change[0, 0], change[3, 3] = 2.0, -1.0
    image = np.full((4, 4, 3), 100, np.uint8)
    face = SaliencyMap(au="AU1", kind="hit", file="a.png", probability=0.9, image=image, change=change)
    shown = colored(face).astype(int)
    assert shown[0, 0, 0] > shown[0, 0, 2]  # orange
    assert shown[3, 3, 2] > shown[3, 3, 0]  # blue
    assert (shown[1, 1] == 100).all()
    assert (colored(SaliencyMap(**{**vars(face), "change": np.zeros((4, 4))})) == 100).all()


def test_a_picture_is_drawn_of_any_maps(faces: FaceTable) -> None:
    found = maps_of(Corner(), faces, count=3)
    texts = [text.get_text() for text in draw_saliency(found, "Title", {"split": "by subject"}).texts]
    assert {"AU1", "AU12", "hits", "false alarms", "misses", "none"} <= set(texts)
    assert "No AU has a face to show." in [text.get_text() for text in draw_saliency([], "Title", {}).texts]


@pytest.mark.parametrize(
    ("count", "inputs", "message"),
    [
        (4, (IMAGES,), r"^saliency: expected a count of faces in 0\.\.3, got 4"),
        (-1, (IMAGES,), "^saliency: expected a count of faces"),
        (
            1,
            (FEATURES,),
            "^saliency: expected a model that reads pixels, got one that reads only features; leave it out$",
        ),
    ],
)
def test_saliency_that_is_impossible_is_refused(count: int, inputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_saliency(count, inputs)
    check_saliency(0, (FEATURES,))
