"""Centred scores of a test are shown beside the raw ones and equal those of faceflow-infer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceflow
from faceflow.centring import Centring
from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import build_pipeline
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.centred import CentredScores, CentredTest, centred_test, check_center, score_centred
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.predictors import open_predictor
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import test_network
from faceflow.faces.video import Frame
from faceflow.inference.frames import Source
from faceflow.metrics.au_scores import Prediction
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import write_photo
from tests.helpers.networks import label_table, network_spec

LABELS = [0.0] * 6 + [5.0] * 2
FIRST = np.array([-3.0, -3, -3, -3, -3, -3, -1, 0])
LOGITS = np.concatenate([FIRST, FIRST + 4])  # the second face reads higher
CENTRING = Centring(thresholds={"AU1": 0.5}, logit={"AU1": -1.0}, intensity={})


def table(subjects: Sequence[str], **columns: Sequence[float]) -> FaceTable:
    made = label_table("mine", columns or {"AU1": LABELS * 2})
    return dataclasses.replace(made, subjects=np.array(subjects))


TWO = table(["a"] * 8 + ["b"] * 8)


def centred_scores(
    centring: Centring | None, bootstrap: Bootstrap | None = None, tables: Sequence[FaceTable] = (TWO,)
) -> CentredScores:
    scorer = SplitScorer(tables, network_spec(aus=("AU1",)))
    rows, outputs = np.arange(16), Prediction(probability=1 / (1 + np.exp(-LOGITS[:, None])), intensity=None)
    raw = scorer.score(rows, outputs, {"AU1": 0.5})
    return score_centred(CentredTest(centring=centring, protocol=""), scorer, tables, rows, outputs, raw, bootstrap)


def test_faces_that_read_higher_are_told_apart_once_centred() -> None:
    found = centred_scores(CENTRING).evaluations["mine"]
    # Centred logits are -1 at rest, and 1 and 2 where AU1 occurs, of both.
    assert found.columns["ap"].tolist() == [1.0]
    assert found.columns["f1_val"].tolist() == [1.0]
    assert found.columns["threshold_val"].tolist() == [0.5]


def test_changes_by_centring_have_intervals_over_subjects() -> None:
    found = centred_scores(CENTRING, Bootstrap(resamples=20, seed=0))
    change = found.changes["mine"]["f1_val"]
    # Raw, the first has a hit and a miss, the second two hits and six false alarms.
    assert (change.raw, change.centred) == (pytest.approx(2 * 3 / (2 * 3 + 6 + 1)), 1.0)
    # Resamples of the first alone gain 1 - 2/3, of the second alone 1 - 4/10.
    assert change.low == pytest.approx(1 / 3)
    assert change.high == pytest.approx(1 - 4 / 10)
    assert "F1@val +0.538 (+0.333 to +0.600), AP " in found.line("mine")
    assert found.to_dict()["test"]["mine"]["summary"]["f1_val_low"] == 1.0


def test_a_checkpoint_without_constants_gives_rankings_alone(caplog: pytest.LogCaptureFixture) -> None:
    center = centred_test("subject", None, [TWO])
    assert center is not None
    assert "the model has no thresholds for centred scores" in center.protocol
    (line,) = caplog.messages
    assert line.startswith("center: the model has no thresholds for centred scores")
    found = centred_scores(None)
    summary = found.evaluations["mine"].summary
    assert (summary["ap"], np.isnan(summary["f1_val"])) == (1.0, True)
    assert "f1_val" not in found.changes["mine"]


def test_a_subject_of_two_data_sets_is_centred_in_each() -> None:
    halves = [dataclasses.replace(TWO.select(np.arange(16) // 8 == half, None), name=f"h{half}") for half in (0, 1)]
    same = [dataclasses.replace(half, subjects=np.array(["a"] * 8)) for half in halves]
    assert centred_scores(CENTRING, tables=same).evaluations["all"].columns["ap"].tolist() == [1.0]


def test_the_protocol_counts_images_and_who_keeps_its_scores(caplog: pytest.LogCaptureFixture) -> None:
    some = table(["a"] * 8 + ["b"] * 5 + ["c"] * 3)
    center = centred_test("subject", CENTRING, [some])
    assert center is not None
    assert center.protocol == (
        "the median over each subject's 8 test images was subtracted from its scores; no labels used; 2 of 3 subjects "
        "have fewer than 8 images and keep their scores; thresholds tuned on centred validation scores"
    )
    assert caplog.messages == ["center: 2 of 3 subjects have fewer than 8 images and keep their scores"]
    assert centred_test(None, CENTRING, [some]) is None


@pytest.mark.parametrize(
    ("center", "tables", "message"),
    [
        ("person", [TWO], r"^center: expected null or subject, got 'person'$"),
        (
            "subject",
            [dataclasses.replace(TWO, has_subjects=False)],
            "^center: expected labels with a column subject, got none for mine, ",
        ),
        ("subject", [table([*"aabbccddeeffgghh"])], r"^center: expected a subject with at least 8 images .*at most 2;"),
    ],
)
def test_scores_that_cannot_be_centred_are_refused(center: str, tables: Sequence[FaceTable], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        check_center(center, tables)


def test_infer_gives_the_same_centred_scores_of_the_same_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [np.full((16, 16, 3), colour, np.uint8) for colour in rng.integers(10, 200, (11, 3))]
    files = [str(write_photo(tmp_path / f"{number:02}.png", image)) for number, image in enumerate(images)]
    constants = {"AU1": -1.0, "AU4": 0.5, "AU12_L": -3.0}
    centring = Centring(thresholds={"AU1": 0.4, "AU4": 0.9}, logit=constants, intensity=dict.fromkeys(constants, 0.25))
    model = write_model(tmp_path / "m.onnx", intensity_contract(centring=centring))
    labels = dataclasses.replace(
        table(["a"] * 11, **{au: [0.0] * 10 + [5.0] for au in constants}), files=np.array(files)
    )
    predictor, payload = open_predictor(None, str(model), accelerator="cpu")
    resize: Any = {"_target_": "albumentations.Resize", "height": 16, "width": 16}
    scores = test_network(
        predictor,
        payload.thresholds,
        [labels],
        pipeline=build_pipeline({"resize": resize}, key="transforms.eval"),
        loading=Loading(batch_size=4, workers=0, timeout_s=0),
        bootstrap=None,
        center=centred_test("subject", payload.centring, [labels]),
    )
    assert scores.centred is not None
    expected = scores.centred.prediction
    clip = Source(
        name="clip",
        read=lambda: (Frame(number, number / 10, image) for number, image in enumerate(images, start=1)),
        file=lambda number: "clip",
        sequence=True,
        count=11,
        fps=10.0,
    )
    runner = faceflow.load(model, crops=True, calibrate="median")
    found = [frame.faces[0].estimates["_cal"] for frame in runner.stream(clip)]
    np.testing.assert_allclose([each.probability for each in found], expected.probability, atol=1e-6)
    np.testing.assert_allclose([each.intensity for each in found], expected.intensity, atol=1e-6)
    # And the same decisions: by AU1's threshold of centred scores, 0.4, not by that of raw ones, 0.25.
    place = [column.name for column in runner.table.columns].index("AU01_cal")
    occurs = [cells[place] for frame in runner.stream(clip) for cells in runner.table.cells(frame)]
    assert occurs == (expected.probability[:, 0] >= 0.4).astype(int).tolist()
    assert scores.centred.evaluations["mine"].columns["threshold_val"].tolist() == pytest.approx(
        [0.4, 0.9, np.nan], nan_ok=True
    )
