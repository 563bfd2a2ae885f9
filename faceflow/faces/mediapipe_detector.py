"""MediaPipe Tasks as face detectors: 478 landmarks, or only boxes, both from one model file."""

from __future__ import annotations

import abc
import re
import signal
import threading
import zipfile
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from faceflow.checks import check_boolean, check_choice, check_installed, check_number, check_whole
from faceflow.errors import ConfigError, DataError
from faceflow.faces.assets import FACE_LANDMARKER, file_hash, find_model
from faceflow.faces.detector import Detection
from faceflow.faces.mediapipe_options import base_options
from faceflow.faces.mediapipe_results import face_of_box, faces_of_landmarks
from faceflow.faces.native_log import START_HINT, NativeLines, native_lines_logged
from faceflow.faces.tiling import detect_close_up, detect_in_tiles, merged
from faceflow.images import Image
from faceflow.wheels import import_whole, missing_library

_BOX_MODEL = "face_detector.tflite"  # inside the .task file
_INPUT = 128  # pixels: the detector shrinks every image to this
_BLANK = np.zeros((_INPUT, _INPUT, 3), np.uint8)
_WARM_UP = 5  # images
_TILES_ACROSS = 2
_SHORT, _LONGEST = 20, 200  # characters of a reason
_NODES = re.compile(r'CalculatorGraph::Run\(\) failed:|Calculator::\w+\(\) for node "[^"]*" failed:')
_SMALL_FACES = ("never", "if_none", "always")


class MediaPipeDetector(abc.ABC):
    """What both detectors share: the model file, opening and closing.

    Args:
        model: model file; None finds or downloads MediaPipe's own.
        cache: folder for downloaded models.
        max_faces: largest number of faces per image.
        min_score: lowest confidence, in 0..1, of a face that counts.
        small_faces: whether the image is also searched in nine tiles, which finds faces of half the size: never,
            if_none (only if the whole image shows no face), always.
        close_up: a face whose box is smaller than this share of the image's longer side is detected again in a
            close-up; 0: never.
    """

    name: str
    features = False

    def __init__(
        self, *, model: str | None, cache: str, max_faces: int, min_score: float, small_faces: str, close_up: float
    ) -> None:
        check_whole(max_faces, key="detector.max_faces", lowest=1)
        _check_share(min_score, "detector.min_score")
        check_choice(small_faces, key="detector.small_faces", options=_SMALL_FACES)
        _check_share(close_up, "detector.close_up")
        self.model = model
        self.cache = cache
        self.max_faces = max_faces
        self.min_score = min_score
        self.small_faces = small_faces
        self.close_up = close_up
        self._mediapipe: Any = None
        self._task: Any = None

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the model file; fetches the file if it is missing."""
        return file_hash(self._path)

    @property
    def settings(self) -> dict[str, Any]:
        """What else decides which faces are found and where, by config key."""
        return {
            "max_faces": self.max_faces,
            "min_score": self.min_score,
            "small_faces": self.small_faces,
            "close_up": self.close_up,
        }

    def detect(self, image: Image) -> list[Detection]:
        """Faces of an RGB image (H, W, 3), best first if there are scores."""
        faces = self._find(image)
        certain = any(not face.score < self.min_score for face in faces)  # NaN counts as certain
        search = self.small_faces == "always" or (self.small_faces == "if_none" and not certain)
        if search and max(image.shape) >= _TILES_ACROSS * _INPUT:
            faces = merged([*faces, *detect_in_tiles(self._find, image, across=_TILES_ACROSS)])
        least = self.close_up * max(image.shape)
        small = [np.ptp(face.box.reshape(2, 2), axis=0).max() < least for face in faces]
        if any(small):
            pairs = zip(faces, small, strict=True)
            faces = merged([detect_close_up(self._find, image, face) if near else face for face, near in pairs])
        return sorted(faces, key=lambda face: -face.score)[: self.max_faces]

    @abc.abstractmethod
    def _find(self, image: Image) -> list[Detection]:
        """Faces that the native task finds in an image."""

    def __enter__(self) -> Self:
        path = self._path
        check_installed("mediapipe", key="detector", install="faceflow[crop]")
        self._mediapipe = import_whole("mediapipe", key="detector")
        _ignore_profiling_timers()
        with native_lines_logged("MediaPipe") as printed:
            try:
                self._task = self._open(path, import_whole("mediapipe.tasks.python", key="detector"))
            except (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
                if library := missing_library(error):
                    raise ConfigError(f"detector: expected MediaPipe to start, got {library}") from error
                raise ConfigError(self._explain(path, _reason(error, printed))) from error
            for _ in range(_WARM_UP):  # the first image is slow, and any of the first may print
                self.detect(_BLANK)
        return self

    def _explain(self, path: Path, reason: str) -> str:
        """Message for a task that did not open; the file is not blamed if it is the usual one."""
        if self.identity == FACE_LANDMARKER.sha256:
            return f"detector: expected MediaPipe to start, got '{reason}'; {START_HINT}"
        return (
            f"detector.model: expected a MediaPipe face landmarker (.task), got '{path}', which does not open "
            f"({reason}); null finds or downloads the usual one"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with native_lines_logged("MediaPipe"):
            self._task.close()
        self._task = self._mediapipe = None  # so that it can be pickled again

    @abc.abstractmethod
    def _open(self, path: Path, tasks: Any) -> Any:
        """Create the native task."""

    @cached_property
    def _path(self) -> Path:
        return find_model(self.model, cache=Path(self.cache))

    def _run(self, image: Image) -> Any:
        assert self._task is not None, "detect() outside of `with detector:`"
        pixels = np.ascontiguousarray(image)
        frame = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=pixels)
        try:
            return self._task.detect(frame)
        except RuntimeError as error:
            height, width = image.shape[:2]
            raise DataError(
                f"detector: expected MediaPipe to search an image of {width} x {height} pixels, got "
                f"'{_reason(error)}'; free memory, or lower detectors or workers"
            ) from error


class MediaPipeLandmarker(MediaPipeDetector):
    """FaceLandmarker on single images: 478 landmarks per face, boxes around them, no score (NaN).

    `min_score` applies to finding a face and to its landmarks; a face below it is not found. MediaPipe's video mode
    makes a difference only for `max_faces=1`: while it follows fewer faces than allowed, it searches every frame, and
    gives the same numbers in the same time. With one face it takes 5/6 of the time and smooths the landmarks, but it
    has a state: frames could not be searched in parallel, nor again after a kill.

    Args:
        model: as above.
        cache: as above.
        max_faces: as above.
        min_score: as above.
        small_faces: as above.
        close_up: as above.
        features: whether faces have features: landmarks with their depth, blendshapes and pose.
    """

    name = "mediapipe_landmarks"

    def __init__(
        self,
        *,
        model: str | None,
        cache: str,
        max_faces: int,
        min_score: float,
        small_faces: str,
        close_up: float,
        features: bool,
    ) -> None:
        super().__init__(
            model=model,
            cache=cache,
            max_faces=max_faces,
            min_score=min_score,
            small_faces=small_faces,
            close_up=close_up,
        )
        check_boolean(features, key="detector.features")
        self.features = features

    def _find(self, image: Image) -> list[Detection]:
        return faces_of_landmarks(self._run(image), image, features=self.features)

    def _open(self, path: Path, tasks: Any) -> Any:
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=base_options(tasks, model_asset_path=str(path)),
            num_faces=self.max_faces,
            min_face_detection_confidence=self.min_score,
            min_face_presence_confidence=self.min_score,
            output_face_blendshapes=self.features,
        )
        return tasks.vision.FaceLandmarker.create_from_options(options)


class MediaPipeBoxes(MediaPipeDetector):
    """FaceDetector (BlazeFace, short range) on single images: box, score, eyes and nose; mouth corners are NaN.

    It is five times as fast as landmarks, and its eyes are less exact.

    Args:
        model: as above, or a .tflite file.
        cache: as above.
        max_faces: as above.
        min_score: as above.
        min_candidate_score: weaker faces are not returned at all.
        small_faces: as above.
        close_up: as above.
    """

    name = "mediapipe_boxes"

    def __init__(
        self,
        *,
        model: str | None,
        cache: str,
        max_faces: int,
        min_score: float,
        min_candidate_score: float,
        small_faces: str,
        close_up: float,
    ) -> None:
        super().__init__(
            model=model,
            cache=cache,
            max_faces=max_faces,
            min_score=min_score,
            small_faces=small_faces,
            close_up=close_up,
        )
        _check_share(min_candidate_score, "detector.min_candidate_score")
        self.min_candidate_score = min_candidate_score

    @property
    def settings(self) -> dict[str, Any]:
        """What else decides which faces are found and where, by config key."""
        return super().settings | {"min_candidate_score": self.min_candidate_score}

    def _find(self, image: Image) -> list[Detection]:
        return [face_of_box(face, image) for face in self._run(image).detections]

    def _open(self, path: Path, tasks: Any) -> Any:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                model = archive.read(_BOX_MODEL)
        else:
            model = path.read_bytes()
        options = tasks.vision.FaceDetectorOptions(
            base_options=base_options(tasks, model_asset_buffer=model),
            min_detection_confidence=min(self.min_candidate_score, self.min_score),
        )
        return tasks.vision.FaceDetector.create_from_options(options)


def _check_share(value: float, key: str) -> None:
    check_number(value, key=key, expected="a number in 0..1", valid=lambda number: 0 <= number <= 1)


def _reason(error: Exception, printed: NativeLines | None = None) -> str:
    """MediaPipe's error without the names of graph nodes; if that says almost nothing, what it printed."""
    text = " ".join(_NODES.sub("", str(error)).split())[-_LONGEST:]
    fault = printed.fault() if printed is not None and len(text) < _SHORT else ""
    return f"{text}: {fault}" if fault and text not in fault else fault or text


def _ignore_profiling_timers() -> None:
    """Keep MediaPipe's own timers from ending the process.

    Its library sends SIGPROF to itself and ignores it without Python's knowledge. Code that restores Python's handlers,
    as Lightning does after training, makes the signal fatal again.
    """
    in_main = threading.current_thread() is threading.main_thread()  # elsewhere Python sets no handlers
    if in_main and hasattr(signal, "SIGPROF") and signal.getsignal(signal.SIGPROF) is signal.SIG_DFL:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
