"""Cost of views: the same faces as in evaluation, through whole views and through single steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.errors import ConfigError
from faceflow.evaluation.view_costs import MeasuredViews, ViewCosts, draw_costs
from faceflow.metrics.au_scores import Prediction
from faceflow.views import FEATURES, IMAGES
from tests.helpers.faces import read_folder, write_image
from tests.helpers.networks import network_spec

LOADING = Loading(batch_size=4, workers=0, timeout_s=0)
RESIZE = {"_target_": "albumentations.Resize", "height": 16, "width": 16}
NEGATIVE = {"_target_": "albumentations.Solarize", "threshold_range": [0, 0], "p": 1.0}
GRAY = {"_target_": "albumentations.ToGray", "p": 1.0}
EITHER = {
    "_target_": "albumentations.OneOf",
    "p": 0.0,
    "transforms": {"negative": {**NEGATIVE, "p": 0.2}, "gray": GRAY},
}


class Brightness:
    """Takes the mean brightness of a face for the probability of both AUs."""

    spec = network_spec(image_size=16)

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        assert images is not None
        means = images.float().mean(dim=(1, 2, 3)).numpy().astype(np.float64) / 255
        return Prediction(probability=np.stack([means, means], axis=1), intensity=None)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    """Five gray faces; both AUs occur on the three brightest."""
    folder = tmp_path_factory.mktemp("gray")
    (folder / "images").mkdir()
    lines = ["filename,subject,AU1,AU12"]
    for row, gray in enumerate((0, 51, 102, 153, 204)):
        write_image(folder / "images" / f"{row}.png", np.full((20, 20, 3), gray, np.uint8))
        lines.append(f"{row}.png,s{row},{5 * (row >= 2)},{5 * (row >= 2)}")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return read_folder(folder)


def measured(faces: int = 100, **views: dict[str, Any]) -> MeasuredViews:
    return MeasuredViews(views, {"resize": RESIZE}, faces=faces, inputs=(IMAGES,))


def costs(tables: list[FaceTable], views: MeasuredViews) -> ViewCosts:
    return views.measure(Brightness(), {"AU1": 0.3, "AU12": 0.3}, tables, loading=LOADING)


def ap(found: ViewCosts) -> dict[tuple[str, str], float]:
    return {(each.view, each.step): each.evaluation.summary["ap"] for each in found.scores}


def test_every_view_is_measured_whole_and_its_steps_alone_on_the_same_faces(faces: FaceTable) -> None:
    found = costs([faces], measured(mine={"resize": RESIZE, "negative": NEGATIVE, "gray": GRAY, "none": None}))
    assert [each.evaluation.rows for each in found.scores] == [5] * 4
    backwards = (1 / 3 + 2 / 4 + 3 / 5) / 3  # the three positives come last
    expected = {("eval", ""): 1.0, ("mine", ""): backwards, ("mine", "negative"): backwards, ("mine", "gray"): 1.0}
    assert ap(found) == pytest.approx(expected)


def test_a_choice_of_a_step_is_measured_as_if_it_were_always_drawn(faces: FaceTable) -> None:
    found = ap(costs([faces], measured(mine={"resize": RESIZE, "either": EITHER, "gray": GRAY})))
    backwards = pytest.approx((1 / 3 + 2 / 4 + 3 / 5) / 3)
    assert found["mine", "either"] == found["mine", ""] == 1.0, "as often as it is drawn: never"
    assert found["mine", "either.negative"] == backwards
    assert found["mine", "either.gray"] == 1.0


def test_the_only_step_of_a_view_is_not_measured_twice() -> None:
    assert list(measured(mine={"resize": RESIZE, "gray": GRAY}).pipelines) == [("eval", ""), ("mine", "")]
    listed = {**EITHER, "transforms": [NEGATIVE, GRAY]}
    steps = [step for _, step in measured(mine={"resize": RESIZE, "either": listed}).pipelines]
    assert steps == ["", "", "either.0", "either.1"]


def test_no_more_faces_are_measured_than_asked_for_spread_over_all_data_sets(faces: FaceTable) -> None:
    found = costs([faces, faces.select(np.arange(5) < 2, None)], measured(faces=3))
    chosen = [Path(file).name for table in found.tables for file in table.files]
    assert chosen == ["0.png", "3.png", "1.png"], "the first, the middle and the last of seven"


def test_the_faces_of_a_picture_are_what_the_pipelines_make_of_them(faces: FaceTable, tmp_path: Path) -> None:
    found = costs([faces], measured(mine={"resize": RESIZE, "negative": NEGATIVE}))
    bars, shown = draw_costs(found, title="Test", protocol={}, output=tmp_path)
    assert bars.is_file()
    sheet = cv2.imread(str(shown))
    assert sheet is not None
    last = sheet[:, -70]  # through the middle of the last face, which has 204
    assert {204, 255 - 204} <= set(last[:, 0].tolist())


def test_views_that_cannot_be_measured_give_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^view_faces: expected a whole number >= 1, got 0"):
        measured(faces=0)
    with pytest.raises(ConfigError, match=r"^views\.mine\.blur: expected a mapping with a _target_"):
        measured(mine={"resize": RESIZE, "blur": 3})
    with pytest.raises(
        ConfigError, match=r"^views: expected a model that reads pixels, got one that reads only features"
    ):
        MeasuredViews({"mine": {"resize": RESIZE}}, {"resize": RESIZE}, faces=1, inputs=(FEATURES,))
