from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from faceflow.config.instantiate import instantiate
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError
from faceflow.faces.assets import FACE_LANDMARKER
from faceflow.faces.detector import Detection, FaceDetector
from faceflow.faces.features import FaceFeatures, mirrored
from faceflow.faces.mediapipe_detector import MediaPipeBoxes, MediaPipeDetector, MediaPipeLandmarker
from faceflow.faces.native_log import native_lines_logged
from faceflow.images import Image, read_image

NAMES = ("mediapipe_landmarks", "mediapipe_boxes")
SHARED = Path(__file__).parents[4] / "shared"
INSTALLED = importlib.util.find_spec("mediapipe") is not None


def model_file() -> str:
    folders = [Path(os.environ.get("FACEFLOW_MODELS", "")), SHARED / "models"]
    for folder in folders:
        if (path := folder / FACE_LANDMARKER.name).is_file():
            return str(path)
    pytest.skip(f"needs {FACE_LANDMARKER.name} in the folder FACEFLOW_MODELS or ../shared/models")


@pytest.fixture(scope="module")
def photograph() -> Image:
    """A rendered head, 128 px, on a larger grey canvas."""
    files = sorted((SHARED / "data" / "ictfaces" / "studio").rglob("*.jpg"))
    if not files:
        pytest.skip("needs the pictures of ../shared/data/ictfaces")
    canvas = np.full((240, 320, 3), 128, np.uint8)
    canvas[60:188, 90:218] = read_image(files[0])
    return canvas


def detector(name: str, **changes: object) -> MediaPipeDetector:
    node = OmegaConf.load(Path(config_dir()) / "detector" / f"{name}.yaml")
    config = OmegaConf.merge({"paths": {"cache": "/nowhere"}, "detector": node}, {"detector": changes})
    built = instantiate(config.detector, key="detector")
    assert isinstance(built, MediaPipeDetector)
    return built


def needing_mediapipe(name: str, **changes: object) -> FaceDetector:
    pytest.importorskip("mediapipe")
    built: FaceDetector = detector(name, model=model_file(), **changes)
    return built


@pytest.mark.parametrize("name", NAMES)
def test_config_builds_a_detector_of_its_name_without_opening_anything(name: str) -> None:
    built = detector(name, model="/nowhere/face.task")
    assert built.name == name
    assert pickle.loads(pickle.dumps(built)).model == "/nowhere/face.task"


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_that_was_open_can_go_to_workers(name: str, photograph: Image) -> None:
    built = needing_mediapipe(name)
    with built:
        before = built.detect(photograph)
    with pickle.loads(pickle.dumps(built)) as again:
        (found,) = again.detect(photograph)
    np.testing.assert_array_equal(found.points, before[0].points)


@pytest.mark.skipif(INSTALLED, reason="mediapipe is installed")
def test_without_mediapipe_the_install_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "face.task").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"pip install 'faceflow\[crop\]'"):
        detector("mediapipe_boxes", model=str(tmp_path / "face.task")).__enter__()


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_those_of_the_config_that_decide_about_faces(name: str) -> None:
    node = OmegaConf.to_container(OmegaConf.load(Path(config_dir()) / "detector" / f"{name}.yaml"))
    assert isinstance(node, dict)
    assert detector(name).settings == {
        key: node[key] for key in node.keys() - {"_target_", "model", "cache", "features"}
    }


@pytest.mark.parametrize("name", NAMES)
def test_identity_is_the_hash_of_the_model(name: str) -> None:
    assert detector(name, model=model_file()).identity == FACE_LANDMARKER.sha256


@pytest.mark.parametrize("name", NAMES)
def test_file_that_is_no_model_is_named(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    (tmp_path / "face.task").write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"detector.model: expected a MediaPipe .* got '.*/face.task'"):
        detector(name, model=str(tmp_path / "face.task")).__enter__()


@pytest.mark.parametrize("name", NAMES)
def test_face_is_found_where_it_is_and_the_same_whatever_came_before(name: str, photograph: Image) -> None:
    with needing_mediapipe(name) as opened:
        assert opened.detect(np.zeros_like(photograph)) == []
        (face,) = opened.detect(photograph)
        (again,) = opened.detect(photograph)
    np.testing.assert_array_equal(face.points, again.points)
    np.testing.assert_array_equal(face.box, again.box)
    x1, y1, x2, y2 = face.box
    assert 85 < x1 < x2 < 223
    assert 55 < y1 < y2 < 193
    left, right, nose = face.points[:3]
    assert x1 < left[0] < nose[0] < right[0] < x2
    assert y1 < max(left[1], right[1]) < nose[1] < y2


def test_handlers_put_back_after_training_leave_the_detector_its_timers(photograph: Image) -> None:
    """MediaPipe sends itself SIGPROF, which ends a process that does not ignore it."""
    with needing_mediapipe("mediapipe_landmarks") as opened:
        signal.signal(signal.SIGPROF, signal.getsignal(signal.SIGPROF))  # as Lightning does with every signal
        assert signal.getsignal(signal.SIGPROF) is signal.SIG_IGN
        assert len([opened.detect(photograph) for _ in range(10)]) == 10


def test_landmarks_give_all_points_and_no_score(photograph: Image) -> None:
    with needing_mediapipe("mediapipe_landmarks") as opened:
        (face,) = opened.detect(photograph)
    assert np.isnan(face.score)
    assert face.landmarks is not None
    assert face.landmarks.shape == (478, 2)
    eyes, nose, mouth = face.points[:2], face.points[2], face.points[3:]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    assert mouth[0, 0] < nose[0] < mouth[1, 0]
    np.testing.assert_array_equal(face.box, [*face.landmarks.min(axis=0), *face.landmarks.max(axis=0)])


def test_mirrored_image_gives_mirrored_landmarks(photograph: Image) -> None:
    """Pins the half pixel between MediaPipe's coordinates, which run from edge to edge, and pixel centres."""
    with needing_mediapipe("mediapipe_landmarks") as opened:
        (face,) = opened.detect(photograph)
        (mirrored,) = opened.detect(np.ascontiguousarray(photograph[:, ::-1]))
    width = photograph.shape[1]
    there = mirrored.points[[1, 0, 2, 4, 3]] * [-1, 1] + [width - 1, 0]
    assert np.abs(there - face.points).max() < 2
    assert abs((there - face.points)[:, 0].mean()) < 0.5


def test_boxes_give_a_score_and_no_mouth_corners(photograph: Image) -> None:
    with needing_mediapipe("mediapipe_boxes") as opened:
        (face,) = opened.detect(photograph)
    assert 0.5 < face.score <= 1
    assert np.isnan(face.points[3:]).all()


def test_both_detectors_agree_on_the_eyes(photograph: Image) -> None:
    with needing_mediapipe("mediapipe_boxes") as boxes, needing_mediapipe("mediapipe_landmarks") as landmarks:
        (rough,), (exact,) = boxes.detect(photograph), landmarks.detect(photograph)
    distance = np.linalg.norm(exact.points[1] - exact.points[0])
    assert np.linalg.norm(rough.points[:2] - exact.points[:2], axis=1).max() < 0.2 * distance


@pytest.mark.parametrize("name", NAMES)
def test_number_of_faces_is_bounded(name: str, photograph: Image) -> None:
    two = np.ascontiguousarray(np.concatenate([photograph[:, 60:250], photograph[:, 60:250]], axis=1))
    for limit in (1, 2):
        with needing_mediapipe(name, max_faces=limit) as opened:
            assert len(opened.detect(two)) == limit


@pytest.mark.parametrize("name", NAMES)
def test_small_face_is_found_in_tiles_at_its_place(name: str, photograph: Image) -> None:
    wide = np.full((900, 1200, 3), 128, np.uint8)
    wide[500:740, 700:1020] = photograph
    with needing_mediapipe(name, small_faces="if_none") as opened:
        (alone,) = opened.detect(photograph)
        (small,) = opened.detect(wide)
    distance = np.linalg.norm(alone.points[1] - alone.points[0])
    assert np.abs(small.points[:2] - [700, 500] - alone.points[:2]).max() < 0.2 * distance
    with needing_mediapipe(name, small_faces="never") as opened:
        assert opened.detect(wide) == []


@pytest.mark.parametrize(("close_up", "looks"), [(0.0, 1), (0.2, 1), (0.25, 2), (1.0, 3)])
def test_faces_under_the_share_are_looked_at_once_more(close_up: float, looks: int) -> None:
    """Boxes of 40 and 100 px across a frame of 200: a fifth, and a half."""
    looked = []

    class TwoFaces(MediaPipeLandmarker):
        def _find(self, image: Image) -> list[Detection]:
            looked.append(image)
            boxes = [(10, 10, 50, 45), (90, 10, 190, 100)] if len(looked) == 1 else []
            return [Detection(box=np.array(box, np.float64), points=np.zeros((5, 2)), score=0.9) for box in boxes]

    settings = {"max_faces": 2, "min_score": 0.5, "small_faces": "never", "close_up": close_up, "features": False}
    opened = TwoFaces(model=None, cache="", **settings)
    assert len(opened.detect(np.zeros((120, 200, 3), np.uint8))) == 2
    assert len(looked) == looks


@pytest.mark.parametrize("name", NAMES)
def test_image_of_any_shape_is_taken(name: str, photograph: Image) -> None:
    with needing_mediapipe(name) as opened:
        assert opened.detect(photograph[:1, :1]) == []
        assert opened.detect(photograph[:, :3]) == []
        assert len(opened.detect(np.asfortranarray(photograph))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_native_lines_stay_out_of_stderr(
    name: str, photograph: Image, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "faceflow")
    with needing_mediapipe(name) as opened:
        opened.detect(photograph)
    assert capfd.readouterr().err == ""
    assert caplog.records


def test_lines_printed_natively_are_logged_and_stderr_comes_back(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "faceflow")
    sys.stderr.write("before\n")
    with native_lines_logged():
        os.write(2, b"W0000 native \xff line\n\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
    assert [record.getMessage() for record in caplog.records] == ["W0000 native � line"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_faces": 0}, r"detector.max_faces: expected a whole number >= 1, got 0"),
        ({"min_score": 50}, r"detector.min_score: expected a number in 0..1, got 50"),
        ({"small_faces": "on"}, r"detector.small_faces: expected never, if_none, always, got 'on'"),
        ({"close_up": 2}, r"detector.close_up: expected a number in 0..1, got 2"),
        ({"min_candidate_score": -1}, r"detector.min_candidate_score: expected a number in 0..1, got -1"),
    ],
)
def test_mistakes_are_named_by_their_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        detector("mediapipe_boxes", **changes)


def test_features_of_a_mirrored_picture_are_the_mirrored_features(photograph: Image) -> None:
    """The networks of the detector are not quite symmetric; a wrong pair of the table is off by tens of pixels."""
    with needing_mediapipe("mediapipe_landmarks") as built:
        (face,), (other,) = built.detect(photograph), built.detect(np.ascontiguousarray(photograph[:, ::-1]))
    assert face.features is not None
    assert other.features is not None
    expected = FaceFeatures.from_vector(mirrored(face.features.vector())).moved(photograph.shape[1] - 1, 0)
    assert np.abs(other.features.landmarks - expected.landmarks).max() < 5
    assert np.median(np.abs(other.features.landmarks - expected.landmarks)) < 0.7
    assert np.abs(other.features.blendshapes - expected.blendshapes).max() < 0.2
    np.testing.assert_allclose(other.features.pose, expected.pose, atol=2.5)


@pytest.mark.parametrize("name", NAMES)
def test_only_landmarks_have_features_and_only_when_asked(name: str, photograph: Image) -> None:
    with needing_mediapipe(name) as built:
        assert built.features is (name == "mediapipe_landmarks")
        assert [face.features is not None for face in built.detect(photograph)] == [built.features]
    if built.features:
        with needing_mediapipe(name, features=False) as bare:
            (face,) = bare.detect(photograph)
        assert face.features is None


def test_close_up_moves_features_with_their_face(photograph: Image) -> None:
    canvas = np.full((900, 1200, 3), 128, np.uint8)
    canvas[500:740, 700:1020] = photograph
    with needing_mediapipe("mediapipe_landmarks") as built:
        (face,) = built.detect(canvas)
    assert face.features is not None
    np.testing.assert_array_equal(face.features.landmarks[:, :2], face.landmarks)
    assert face.features.landmarks[:, 0].min() > 790
    assert face.features.landmarks[:, 1].min() > 560


def test_protocol_is_met() -> None:
    landmarks: FaceDetector = MediaPipeLandmarker(
        model=None, cache="", max_faces=1, min_score=0.5, small_faces="never", close_up=0.0, features=True
    )
    boxes: FaceDetector = MediaPipeBoxes(
        model=None, cache="", max_faces=1, min_score=0.5, min_candidate_score=0.5, small_faces="never", close_up=0.0
    )
    assert landmarks.name != boxes.name
