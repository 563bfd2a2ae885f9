"""`faceflow.load(...).predict(...)`: typed rows of pictures, paths and videos."""

from __future__ import annotations

import gc
import itertools
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

import faceflow
from faceflow.centring import Centring
from faceflow.errors import ConfigError, DataError, ExportError
from faceflow.faces.video import Frame
from faceflow.inference.frames import Source
from faceflow.inference.subject_calibration import RUNNING_FRAMES
from tests.helpers.exported import CROP, contract, intensity_contract, write_model
from tests.helpers.markers import (
    MARKERS,
    MarkerDetector,
    blank,
    covered,
    draw_face,
    face_at,
    moving_faces,
    write_photo,
    write_video,
)

PLACE = {
    **{"file": "string", "frame": "Int64", "time_s": "float64", "face": "Int64", "status": "string"},
    **dict.fromkeys(("det_score", "x1", "y1", "x2", "y2"), "float64"),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model = [1].onnx", intensity_contract())


def uniform(*colour: int, shape: tuple[int, int] = (16, 16)) -> Any:
    return np.full((*shape, 3), colour, np.uint8)


def test_images_become_typed_rows(model: Path) -> None:
    images = [uniform(255, 51, 0), uniform(0, 0, 102, shape=(40, 30))]
    rows = faceflow.load(model, "crops=true").predict(images)
    aus = {f"{au}{kind}": dtype for au in ("AU01", "AU04", "AU12_L") for kind, dtype in KINDS.items()}
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()}.items() >= (PLACE | aus).items()
    assert rows["frame"].tolist() == [1, 2]
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows[["AU01_prob", "AU04_prob", "AU12_L_prob"]].to_numpy() == pytest.approx(
        np.array([[1, 0.2, 0], [0, 0, 0.4]]), abs=1e-6
    )
    assert rows[["AU01_int", "AU04_int", "AU12_L_int"]].to_numpy() == pytest.approx(
        np.array([[5, 1, 0], [0, 0, 2]]), abs=1e-5
    )
    assert rows[["AU01", "AU04", "AU12_L"]].to_numpy().tolist() == [[1, 0, 0], [0, 0, 0]]


KINDS = {"_prob": "float64", "_int": "float64", "": "Int64"}


def test_one_image_an_array_and_a_list_are_the_same(model: Path) -> None:
    predictor = faceflow.load(model, "crops=true")
    image = uniform(10, 20, 30)
    one, listed, stacked = (predictor.predict(images) for images in (image, [image], image[None]))
    pd.testing.assert_frame_equal(one, listed)
    pd.testing.assert_frame_equal(one, stacked)


def test_files_are_rows_by_name(model: Path, tmp_path: Path) -> None:
    paths = [
        write_photo(tmp_path / "photos/b.png", uniform(255, 0, 0)),
        write_photo(tmp_path / "photos/a.png", uniform(0, 255, 0, shape=(9, 12))),
    ]
    (tmp_path / "photos/c.png").write_bytes(paths[0].read_bytes()[:40])
    predictor = faceflow.load(model, "crops=true")
    rows = predictor.predict(tmp_path / "photos")
    assert rows["file"].tolist() == [str(tmp_path / f"photos/{name}.png") for name in "abc"]
    assert rows["status"].tolist() == ["ok", "ok", "decode_error"]
    assert rows["AU01_prob"].tolist()[:2] == [0, 1]
    assert rows["AU01"].isna().tolist() == [False, False, True]
    assert predictor.predict([str(path) for path in paths])["file"].tolist() == sorted(map(str, paths))


def test_a_video_has_a_row_for_every_frame(model: Path, tmp_path: Path) -> None:
    images = moving_faces(12)
    images[4:6] = map(covered, images[4:6])
    with faceflow.load(model, *MARKERS, "selection.hold=1", "selection.smooth=0") as predictor:
        rows = predictor.predict(write_video(tmp_path / "a.avi", images, fps=20))
    assert rows["frame"].tolist() == list(range(1, 13))
    assert rows["time_s"].tolist() == pytest.approx([n / 20 for n in range(12)])
    assert rows["status"].tolist() == [*["ok"] * 4, "tracked", "no_face", *["ok"] * 6]
    assert rows["AU01_prob"].notna().tolist() == [status != "no_face" for status in rows["status"]]
    assert rows["det_score"].dropna().unique().tolist() == [0.9]
    assert rows["x1"].notna().sum() == 11


def test_calibration_and_smoothing_add_columns_and_change_none(model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", moving_faces(9))
    raw = faceflow.load(model, *MARKERS).predict(video)
    more = faceflow.load(model, *MARKERS, "calibrate=median", "smooth=2", "neutral_probability=0.01").predict(video)
    pd.testing.assert_frame_equal(more[list(raw.columns)], raw)
    assert set(more.columns) - set(raw.columns) == {
        f"{au}{kind}{suffix}"
        for au in ("AU01", "AU04", "AU12_L")
        for kind in KINDS
        for suffix in ("_cal", "_smooth", "_cal_smooth")
    }
    # The median frame is at rest: odds 1 to 99, and no intensity.
    middle = raw["AU01_prob"].argsort().tolist()[4]
    assert more["AU01_prob_cal"][middle] == pytest.approx(0.01, abs=1e-5)
    above = (raw["AU01_int"] - raw["AU01_int"].median()).clip(0, 5)
    assert more["AU01_int_cal"].tolist() == pytest.approx(above.tolist(), abs=1e-5)
    weights = [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]
    assert more["AU01_prob_smooth"][4] == pytest.approx(np.average(raw["AU01_prob"][2:7], weights=weights), abs=1e-5)


def test_events_are_rows_of_videos(model: Path, tmp_path: Path) -> None:
    red, black = uniform(255, 0, 0), uniform(0, 0, 0)
    images = [black] * 3 + [red] * 4 + [black] * 3
    video, other = (write_video(tmp_path / name, images, fps=10) for name in ("a.avi", "b.avi"))
    predictor = faceflow.load(model, crops=True)
    (event,) = predictor.events(video).to_dict("records")
    assert (event["file"], event["face"], event["au"]) == (str(video), 0, "AU1")
    assert [event[f"{phase}_frame"] for phase in ("onset", "apex", "offset", "end")] == [4, 4, 7, 7]
    assert (event["onset_s"], event["duration_s"]) == (pytest.approx(0.3), pytest.approx(0.4))
    assert predictor.events([video, other])["file"].tolist() == [str(video), str(other)]
    assert predictor.events(write_video(tmp_path / "c.avi", [black] * 3))["au"].dtype == "string"
    with pytest.raises(ConfigError, match="^source: expected videos, got images: .*; images have no events"):
        predictor.events(write_photo(tmp_path / "a.png", red))


def test_pose_and_gaze_are_columns_where_the_detector_knows_them(model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", [*moving_faces(3), blank()])
    features = [*MARKERS, "+detector.features=true", "selection.smooth=0", "selection.hold=0"]
    rows = faceflow.load(model, *features).predict(video)
    assert rows["pose_pitch"].tolist()[:3] == [-10.0] * 3
    assert rows[["pose_yaw", "gaze_yaw"]].isna().sum().tolist() == [1, 1]
    assert list(faceflow.load(model, *features, columns=["gaze"]).predict(video).columns[-3:]) == [
        *("y2", "gaze_yaw", "gaze_pitch")
    ]
    assert "pose_yaw" not in faceflow.load(model, *MARKERS).predict(video)


def test_the_first_seconds_calibrate(model: Path, tmp_path: Path) -> None:
    images = [uniform(51, 0, 0)] * 4 + [uniform(255, 0, 0)] * 6
    video = write_video(tmp_path / "a.avi", images, fps=10)
    rows = faceflow.load(model, crops=True, calibrate="first:0.5s", neutral_probability=0.1).predict(video)
    raw, rest = rows["AU01_prob"], rows["AU01_prob"][0]  # five frames, of which four are at rest
    odds = raw / (1 - raw) / (rest / (1 - rest)) / 9
    assert rows["AU01_prob_cal"].tolist() == pytest.approx((odds / (1 + odds)).tolist(), abs=1e-4)


def endless(*, live: bool) -> Source:
    """Frames that never end, of a face that brightens for good."""
    frames = (Frame(n, n / 10, uniform(51 if n < 100 else 204, 0, 0)) for n in itertools.count(1))
    return Source(name="s", read=lambda: frames, file=lambda n: "s", sequence=True, count=0, fps=10, live=live)


@pytest.mark.parametrize(("calibrate", "live"), [("median", True), ("running", False)])
def test_endless_sources_are_calibrated_to_the_median_so_far(model: Path, calibrate: str, live: bool) -> None:
    predictor = faceflow.load(model, crops=True, calibrate=calibrate, neutral_probability=0.1)
    with closing(predictor.stream(endless(live=live))) as frames:
        found = [frame.faces[0].estimates for frame in itertools.islice(frames, 110)]
    assert ["_cal" in each for each in found] == [n >= RUNNING_FRAMES for n in range(1, 111)]
    # Odds at rest of 1/4 become 1/9, those of the brighter face, 4, become 16/9.
    assert found[70]["_cal"].probability[0] == pytest.approx(0.1, abs=1e-5)
    assert found[105]["_cal"].probability[0] == pytest.approx(16 / 25, abs=1e-5)


def test_events_and_columns_of_centred_estimates_are_by_their_own_thresholds(tmp_path: Path) -> None:
    constants = dict.fromkeys(("AU1", "AU4", "AU12_L"), -2.0)
    centring = Centring(thresholds={"AU1": 0.9}, logit=constants, intensity={})
    model = write_model(tmp_path / "centred.onnx", contract(centring=centring))
    predictor = faceflow.load(model, crops=True, calibrate="median", smooth=1)
    threshold = {suffix: predictor.table.contract_of(suffix).thresholds for suffix in predictor.table.suffixes}
    assert {suffix: each["AU1"] for suffix, each in threshold.items()} == {
        **{"": 0.25, "_smooth": 0.25},
        **{"_cal": 0.9, "_cal_smooth": 0.9},
    }
    rest = faceflow.load(model, crops=True, calibrate="first:2s")
    assert rest.table.contract_of("_cal").thresholds["AU1"] == 0.25
    # Red of 0.5 is an event of the raw estimates from 0.25 on, but not of those centred: odds of 4, over e^2, are 0.54.
    video = write_video(tmp_path / "a.avi", [uniform(51 if n < 20 else 128, 0, 0) for n in range(32)])
    raw = faceflow.load(model, crops=True).events(video)
    assert (raw["au"] == "AU1").any()
    assert not (predictor.events(video)["au"] == "AU1").any()


def test_a_picture_of_the_neutral_face_calibrates(model: Path, tmp_path: Path) -> None:
    neutral = write_photo(tmp_path / "neutral.png", uniform(51, 0, 0))
    predictor = faceflow.load(model, "crops=true", f'calibrate="{neutral}"', "neutral_probability=0.1")
    rows = predictor.predict([uniform(51, 51, 0), uniform(255, 0, 0)])
    # Odds 1/4 at rest, 1/9 allowed: AU1's odds are divided by 9/4; AU4 rests at 0 and stays.
    assert rows["AU01_prob_cal"].tolist() == pytest.approx([0.1, 1.0], abs=1e-5)
    assert rows["AU04_prob_cal"].tolist() == rows["AU04_prob"].tolist()
    assert rows["AU01_int_cal"].tolist() == pytest.approx([0, 4], abs=1e-5)


@pytest.mark.parametrize(("columns", "made"), [(["aus"], False), (["aus", "gaze"], True), (None, True)])
def test_features_are_found_where_something_asks_for_them(model: Path, columns: Any, made: bool) -> None:
    with faceflow.load(model, *MARKERS, "+detector.features=true", columns=columns) as predictor:
        assert {detector.features for detector in predictor.detectors} == {made}
        assert predictor.settings.detector is not None
        assert predictor.settings.detector.features, "that of the settings stays as it is"


def test_every_face_of_a_picture_is_a_row(model: Path) -> None:
    both = draw_face(draw_face(blank(192, 96), (30, 40), (54, 40)), (130, 40), (154, 40))
    with faceflow.load(model, *MARKERS, "selection.policy=all") as predictor:
        rows = predictor.predict([both, blank(), face_at(40, 40)])
    assert rows["frame"].tolist() == [1, 1, 2, 3]
    assert rows["face"].tolist() == [0, 1, pd.NA, 0]
    assert rows["status"].tolist() == ["ok", "ok", "no_face", "ok"]


def test_a_predictor_serves_again_after_an_error_and_after_it_was_closed(model: Path) -> None:
    predictor = faceflow.load(model, *MARKERS)
    first = predictor.predict(face_at(40, 40))
    with pytest.raises(DataError, match="source: expected a file"):
        predictor.predict("nowhere.mp4")
    predictor.close()
    pd.testing.assert_frame_equal(predictor.predict(face_at(40, 40)), first)
    predictor.close()
    assert "prefetch" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("overrides", "source", "line"),
    [
        (["crops=yes"], None, "crops: expected true or false, got 'yes'"),
        (["crop=true"], None, "crop: expected a known key at the top level, got 'crop'"),
        (
            ["selection.polcy=all"],
            None,
            "selection.polcy: expected a known key in 'selection', got 'polcy'; did you mean 'policy'",
        ),
        (["align=eye"], None, "align=eye: expected an option of 'align'; did you mean 'eyes'"),
        (["batch_size=0"], None, "batch_size: expected a whole number >= 1, got 0"),
        (["smooth=-1"], None, "smooth: expected frames on either side >= 0, got -1"),
        (
            ["neutral_probability=1"],
            None,
            "neutral_probability: expected a probability above 0 and below 1, got 1",
        ),
        (["threads=1.5"], None, "threads: expected a whole number >= 0, got 1.5"),
        (
            ["calibrate=medain"],
            None,
            "calibrate: expected none, median, running, first:2s, or an image",
        ),
        (["calibrate=median", "crops=true"], [uniform(0, 0, 0)], "calibrate: expected a video for the median of a sub"),
        (
            [*MARKERS, "calibrate=model.png"],
            [uniform(0, 0, 0)],
            "calibrate: expected one face in 'model.png', got none",
        ),
    ],
)
def test_mistakes_are_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: Any, source: Any, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "model.png", blank())
    with pytest.raises((ConfigError, DataError)) as caught:
        faceflow.load(model, *overrides).predict(source)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_model_that_asks_for_huge_crops_is_refused(tmp_path: Path) -> None:
    huge = {**CROP, "align": {**CROP["align"], "size": 100_000}}
    with pytest.raises(
        ConfigError, match=r"align\.size: expected crops of at most 4096 pixels in the model, got 100000"
    ):
        faceflow.load(write_model(tmp_path / "m.onnx", contract(crop=huge)), *MARKERS)


def test_detectors_are_closed_with_the_predictor(model: Path) -> None:
    predictor = faceflow.load(model, "detectors=2", *MARKERS)
    predictor.predict([blank()])
    detectors = cast("list[MarkerDetector]", predictor.detectors)
    assert [detector.opened for detector in detectors] == [True, True]
    del predictor
    gc.collect()
    assert [detector.opened for detector in detectors] == [False, False]


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"onnx: expected an ONNX model, got 'none\.onnx': no such file"):
        faceflow.load("none.onnx")
    newer = contract().to_json().replace('"format": 1', '"format": 3')
    with pytest.raises(
        ExportError, match="expected model format 2 or lower, got 3 of a newer FaceFlow; run: pip install -U"
    ):
        faceflow.load(write_model(tmp_path / "m.onnx", metadata=newer))


def test_the_package_has_no_other_lazy_names() -> None:
    with pytest.raises(AttributeError, match="module 'faceflow' has no attribute 'lod'"):
        faceflow.lod  # noqa: B018
